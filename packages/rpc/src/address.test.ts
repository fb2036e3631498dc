import { describe, expect, test } from '@jest/globals';
import { formatAddress, isLoopback, parseAddress } from './address.ts';

describe('addresses', () => {
  test.each([
    ['agg.example:443', { host: 'agg.example', port: 443 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:8443', { host: '::1', port: 8443 }],
  ])('reads and writes %s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(address)).toBe(text);
  });

  test.each([
    '',
    'host',
    'host:',
    ':1',
    'host:65536',
    '::1:1',
    '[host]:1',
    'https://host:1',
    'a b:1',
  ])('refuses %j', (text) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: 'RPC_ADDRESS_INVALID' }),
    );
  });

  test('knows its own machine', () => {
    expect(['localhost', '127.0.0.1', '127.9.9.9', '::1'].every(isLoopback)).toBe(true);
    expect(['127.example', 'localhost.example', '10.0.0.1'].some(isLoopback)).toBe(false);
  });
});
