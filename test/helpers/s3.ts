// A store of buckets for tests, on a free port of loopback, which any client of S3 can use: objects are whole or not
// there, signatures, payload hashes and checksums are verified, uploads in parts follow S3's rules, and lists come in
// pages. What lies in it can be looked at and edited; it can be away, come back with all it had, and refuse to write.
// It does what docs.aws.amazon.com/AmazonS3/latest/API says of the calls that snapshots make, and refuses all others.
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import type { ExecutionContext } from 'ava';

const BUCKET = 'snapshots';
const ACCESS_KEY = 'TESTACCESSKEY';
const SECRET_KEY = 'test/secret+key';
const PART_MIN_BYTES = 5 * 1024 * 1024;

/** S3's refusals, with the status of each. */
const STATUS = {
  AccessDenied: 403,
  BadDigest: 400,
  EntityTooSmall: 400,
  InvalidAccessKeyId: 403,
  InvalidPart: 400,
  InvalidRange: 416,
  MissingSecurityHeader: 400,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  SignatureDoesNotMatch: 403,
  XAmzContentSHA256Mismatch: 400,
} as const;
export type Refusal = keyof typeof STATUS;

class Refused extends Error {
  constructor(readonly code: Refusal) {
    super(code);
  }
}

interface Upload {
  readonly key: string;
  readonly parts: Map<number, Buffer>;
}

interface Call {
  readonly key: string;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly body: Buffer;
}

interface Answer {
  status?: number;
  headers?: Record<string, string | number>;
  body?: Buffer | string;
}

export interface S3Options {
  /** Most keys of one page of a list. */
  pageKeys?: number;
}

export class S3Store {
  /** What processes need to reach it; nothing of the host's own settings is read. */
  readonly env: Record<string, string>;
  readonly bucket = BUCKET;
  readonly objects = new Map<string, Buffer>();
  /** Uploads in parts that were begun and neither completed nor aborted. */
  readonly uploads = new Map<string, Upload>();
  /** Calls that were answered, e.g. `PUT a/b`. */
  readonly calls: string[] = [];
  /** Most calls that were under way at once. */
  mostAtOnce = 0;
  #underWay = 0;
  /** What every call that writes is refused with. */
  refusal: Refusal | undefined;
  readonly #options: S3Options;
  readonly #port: number;
  #server: Server | undefined;

  private constructor(options: S3Options, server: Server) {
    this.#options = options;
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#serve(server);
    this.env = {
      AWS_ENDPOINT_URL_S3: `http://localhost:${this.#port}`,
      AWS_REGION: 'eu-test-1',
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
  }

  static async open(options: S3Options): Promise<S3Store> {
    return new S3Store(options, await listening(0));
  }

  /** Is away: connections are refused until it starts. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async start(): Promise<void> {
    this.#server = await listening(this.#port);
    this.#serve(this.#server);
  }

  #serve(server: Server): void {
    server.on('request', (request, response) => void this.#handle(request, response));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/' } = request;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#underWay);
    response.on('close', () => this.#underWay--);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const [path, search = ''] = url.split('?');
      const [, bucket, ...names] = path.split('/').map(decodeURIComponent);
      const key = names.join('/');
      authenticate(request, path, search, body);
      if (bucket !== BUCKET) throw new Refused('NoSuchBucket');
      if (this.refusal && ['PUT', 'POST', 'DELETE'].includes(method)) throw new Refused(this.refusal);
      const answer = this.#answer(method, { key, query: new URLSearchParams(search), request, body });
      this.calls.push(`${method} ${key}`);
      response.writeHead(answer.status ?? 200, {
        'content-length': Buffer.byteLength(answer.body ?? ''),
        ...answer.headers,
      });
      response.end(method === 'HEAD' ? undefined : answer.body);
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      const code = error instanceof Refused ? error.code : 'NotImplemented';
      const text = xml(`<Error><Code>${code}</Code><Message>${escaped(String(error))}</Message></Error>`);
      response.writeHead(STATUS[code], { 'content-type': 'application/xml' });
      response.end(method === 'HEAD' ? undefined : text);
    }
  }

  #answer(method: string, call: Call): Answer {
    const { key, query } = call;
    if (key === '') {
      if (method === 'GET' && query.get('list-type') === '2') return this.#list(query);
    } else if (query.has('uploads')) {
      if (method === 'POST') return this.#begin(key);
    } else if (query.has('uploadId')) {
      const id = query.get('uploadId') ?? '';
      const upload = this.uploads.get(id);
      if (upload?.key !== key) throw new Refused('NoSuchUpload');
      if (method === 'PUT') return putPart(upload, Number(query.get('partNumber')), call.body);
      if (method === 'POST') return this.#complete(id, upload, call.body.toString());
      if (method === 'DELETE') {
        this.uploads.delete(id);
        return { status: 204 };
      }
    } else if (method === 'PUT') {
      this.objects.set(key, call.body);
      return { headers: { etag: etagOf(call.body) } };
    } else if (method === 'GET' || method === 'HEAD') return this.#get(call);
    else if (method === 'DELETE') {
      this.objects.delete(key);
      return { status: 204 };
    }
    throw new Refused('NotImplemented');
  }

  #get({ key, request }: Call): Answer {
    const object = this.objects.get(key);
    if (!object) throw new Refused('NoSuchKey');
    const etag = etagOf(object);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) return { headers: { etag }, body: object };
    const [begin, end] = [Number(first), Math.min(Number(last) + 1, object.length)];
    if (begin >= object.length) throw new Refused('InvalidRange');
    const range = `bytes ${begin}-${end - 1}/${object.length}`;
    return { status: 206, headers: { etag, 'content-range': range }, body: object.subarray(begin, end) };
  }

  #list(query: URLSearchParams): Answer {
    const [prefix, delimiter] = [query.get('prefix') ?? '', query.get('delimiter') ?? ''];
    const most = Math.min(Number(query.get('max-keys') ?? 1000), this.#options.pageKeys ?? 1000);
    const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString();
    const found = new Map<string, string>();
    for (const [key, { length }] of this.objects) {
      if (!key.startsWith(prefix)) continue;
      const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      const name = cut < 0 ? key : key.slice(0, cut + 1);
      found.set(
        name,
        cut < 0
          ? `<Contents><Key>${escaped(name)}</Key><Size>${length}</Size></Contents>`
          : `<CommonPrefixes><Prefix>${escaped(name)}</Prefix></CommonPrefixes>`,
      );
    }
    const rest = [...found].filter(([name]) => name > after).sort(([a], [b]) => (a < b ? -1 : 1));
    const page = rest.slice(0, most);
    const token = Buffer.from(page.at(-1)?.[0] ?? '').toString('base64');
    const more = rest.length > most ? `<NextContinuationToken>${token}</NextContinuationToken>` : '';
    const entries = page.map(([, entry]) => entry).join('');
    const truncated = `<IsTruncated>${rest.length > most}</IsTruncated>`;
    return { body: xml(`<ListBucketResult>${truncated}${more}${entries}</ListBucketResult>`) };
  }

  #begin(key: string): Answer {
    const id = randomUUID();
    this.uploads.set(id, { key, parts: new Map() });
    const upload = `<Key>${escaped(key)}</Key><UploadId>${id}</UploadId>`;
    return { body: xml(`<InitiateMultipartUploadResult>${upload}</InitiateMultipartUploadResult>`) };
  }

  #complete(id: string, { key, parts }: Upload, body: string): Answer {
    const named = [...body.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part]) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      etag: /<ETag>(.*?)</.exec(part)?.[1]?.replaceAll('&quot;', '"'),
    }));
    const all = named.map(({ number, etag }, index) => {
      const part = parts.get(number);
      const follows = index === 0 || number > named[index - 1].number;
      if (!part || !follows || etagOf(part) !== etag) throw new Refused('InvalidPart');
      if (part.length < PART_MIN_BYTES && index < named.length - 1) throw new Refused('EntityTooSmall');
      return part;
    });
    if (all.length === 0) throw new Refused('InvalidPart');
    const object = Buffer.concat(all);
    this.objects.set(key, object);
    this.uploads.delete(id);
    const result = `<Key>${escaped(key)}</Key><ETag>${escaped(etagOf(object))}</ETag>`;
    return { body: xml(`<CompleteMultipartUploadResult>${result}</CompleteMultipartUploadResult>`) };
  }
}

/** Starts a store with one empty bucket; it is gone when the test has ended. */
export async function startS3(t: ExecutionContext, options: S3Options = {}): Promise<S3Store> {
  const store = await S3Store.open(options);
  t.teardown(() => store.stop());
  return store;
}

function listening(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, 'localhost', () => resolve(server));
  });
}

function putPart({ parts }: Upload, number: number, body: Buffer): Answer {
  if (!(number >= 1 && number <= 10_000)) throw new Refused('InvalidPart');
  parts.set(number, body);
  return { headers: { etag: etagOf(body) } };
}

/** Signature version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html. */
function authenticate(
  { method, headers }: IncomingMessage,
  path: string,
  search: string,
  body: Buffer,
): void {
  const [, accessKey, scope, signed, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), *SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  if (accessKey === undefined) throw new Refused('AccessDenied');
  if (accessKey !== ACCESS_KEY) throw new Refused('InvalidAccessKeyId');
  const payload = String(headers['x-amz-content-sha256']);
  const query = search.split('&').filter(Boolean);
  const canonical = [
    method,
    path,
    query
      .map((each) => (each.includes('=') ? each : `${each}=`))
      .sort()
      .join('&'),
    ...signed.split(';').map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    signed,
    payload,
  ].join('\n');
  const date = String(headers['x-amz-date']);
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = scope
    .split('/')
    .reduce<Buffer | string>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${SECRET_KEY}`,
    );
  if (createHmac('sha256', key).update(toSign).digest('hex') !== signature)
    throw new Refused('SignatureDoesNotMatch');
  if (payload !== sha256(body)) throw new Refused('XAmzContentSHA256Mismatch');
  const checksum = headers['x-amz-checksum-crc32'];
  if (method !== 'PUT') return;
  if (checksum === undefined) throw new Refused('MissingSecurityHeader');
  const expected = Buffer.alloc(4);
  expected.writeUInt32BE(crc32(body));
  if (checksum !== expected.toString('base64')) throw new Refused('BadDigest');
}

const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');
const etagOf = (data: Buffer) => `"${createHash('md5').update(data).digest('hex')}"`;
const xml = (content: string) => `<?xml version="1.0" encoding="UTF-8"?>${content}`;
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
