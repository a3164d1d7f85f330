// HOST:PORT, as it is written in options, views and messages: read, checked and written back.
// IPv6 hosts stand in brackets, since a colon also divides host and port.
// Everything that listens or connects gets its address from here, so each of them refuses the same things.
import { BlockList, isIP, isIPv6 } from 'node:net';

export interface Address {
  /** A host name or an IP address, without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system pick a free one, and only makes sense where something listens. */
  readonly port: number;
}

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;
const LOOKS_LIKE_IPV4 = /^[0-9.]+$/;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Reads `HOST:PORT` or `[IPV6]:PORT`.
 * @throws Error with a clause that says what is wrong, fit to stand after "expected HOST:PORT: "
 */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (!match) {
    if (isIPv6(text) || text.split(':').length > 2) {
      throw new Error('an IPv6 address stands in brackets, like [::1]:50051');
    }
    throw new Error(text.includes(':') ? 'the host cannot be read' : 'the port is missing');
  }
  const [, bracketed, plain, portText] = match;
  const host = bracketed ?? plain;
  if (host === '') throw new Error('the host is missing');
  if (bracketed !== undefined && !isIPv6(bracketed)) throw new Error(`[${bracketed}] is no IPv6 address`);
  if (plain !== undefined && isIP(plain) === 0) {
    if (LOOKS_LIKE_IPV4.test(plain)) throw new Error(`${plain} is no IPv4 address`);
    if (!HOST_NAME.test(plain)) throw new Error(`"${plain}" is no host name`);
  }
  if (portText === '') throw new Error('the port is missing');
  if (!/^\d{1,5}$/.test(portText) || Number(portText) > 65535) {
    throw new Error(`a port is a whole number from 0 to 65535, not "${portText}"`);
  }
  return { host, port: Number(portText) };
}

/** The text that `parseAddress` reads back to an equal address. */
export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach the host: 127.0.0.0/8, ::1 and `localhost`. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether listening on the host means every address of the machine, so that peers cannot be told to use it. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || (isIPv6(host) && /^[0:]+$/.test(host));
}
