// A bucket of anything that speaks S3, through its standard client. Endpoint, region and credentials come as every
// program with that client takes them: AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID and so on, ~/.aws, or the
// role of the host. What it refuses, and that nobody answers, is told as a clause that a person understands.
import { S3 } from '@aws-sdk/client-s3';
import { isSystemError } from '../atomic-file.js';
import { sentence } from '../errors.js';
import { BUCKET_CONNECT_MS, BUCKET_SILENCE_MS } from '../limits.js';

/** A call that has failed: the message is a clause. */
export class BucketError extends Error {
  override readonly name = 'BucketError';

  constructor(
    /** S3's name of what is wrong, or the client's. */
    readonly code: string,
    cause: unknown,
    clause: string,
  ) {
    super(clause, { cause });
  }

  /** There is no object of that name. */
  get isMissing(): boolean {
    return this.code === 'NoSuchKey' || this.code === 'NotFound';
  }
}

/** What a person makes of the usual codes. */
const CLAUSES: Record<string, string> = {
  NoSuchBucket: 'there is no such bucket',
  AccessDenied: 'these credentials may not',
  Forbidden: 'these credentials may not',
  InvalidAccessKeyId: 'the credentials are not known there (AWS_ACCESS_KEY_ID)',
  SignatureDoesNotMatch: 'the credentials are wrong (AWS_SECRET_ACCESS_KEY)',
  ExpiredToken: 'the credentials have expired',
  CredentialsProviderError:
    'no credentials were found (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a profile)',
  PermanentRedirect: 'the bucket is in another region (AWS_REGION)',
  AuthorizationHeaderMalformed: 'the bucket is in another region (AWS_REGION)',
};

export class Bucket {
  private constructor(
    readonly name: string,
    readonly client: S3,
    /** Whose bucket it is, as people know it. */
    readonly host: string,
  ) {}

  /** No call is made yet. */
  static async open(name: string): Promise<Bucket> {
    // Which versions of Node later versions of the client will take is no news for whoever trains.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
    const client = new S3({
      requestHandler: { connectionTimeout: BUCKET_CONNECT_MS, socketTimeout: BUCKET_SILENCE_MS },
    });
    // Other stores than Amazon's seldom have a host name for every bucket.
    const endpoint = await client.config.serviceConfiguredEndpoint?.();
    client.config.forcePathStyle = endpoint !== undefined;
    return new Bucket(name, client, endpoint ?? 'Amazon S3');
  }

  /** Makes a call and takes in its answer. Throws BucketError. */
  async call<T>(work: (client: S3, bucket: { Bucket: string }) => Promise<T>): Promise<T> {
    try {
      return await work(this.client, { Bucket: this.name });
    } catch (error) {
      throw failure(error, this.host);
    }
  }
}

/** All that is thrown by the client is what the store, the network or the configuration has done. */
function failure(error: unknown, host: string): BucketError {
  if (!(error instanceof Error)) return new BucketError('unknown', error, String(error));
  const { name, message, $metadata, code } = error as Error & {
    $metadata?: { httpStatusCode?: number };
    code?: string;
  };
  if (isSystemError(error) || name === 'AggregateError' || name === 'TimeoutError')
    return new BucketError(code ?? name, error, `${host} does not answer (${code ?? message})`);
  if (message === 'Region is missing')
    return new BucketError(
      name,
      error,
      'no region is set (AWS_REGION; most stores other than Amazon take any)',
    );
  // The client's words for these name no setting.
  if (message.startsWith('Region not accepted'))
    return new BucketError(name, error, `the region is none: ${message} (AWS_REGION)`);
  if (name === 'EndpointError' || code === 'ERR_INVALID_URL')
    return new BucketError(
      name,
      error,
      `the endpoint is no URL: expected one such as http://10.77.0.9:9000, got ${host} (AWS_ENDPOINT_URL_S3)`,
    );
  const status = $metadata?.httpStatusCode;
  const clause = CLAUSES[name] ?? (status === 403 ? CLAUSES.AccessDenied : undefined);
  if (clause) return new BucketError(name, error, clause);
  const answer =
    status === undefined ? sentence(error) : `it answered ${status}, ${name}: ${sentence(error)}`;
  return new BucketError(name, error, answer);
}
