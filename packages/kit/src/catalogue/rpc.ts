import { EXIT, type CatalogueSection } from './section.ts';

/** Connections, calls, peers and what travels in pieces. */
export const RPC = {
  RPC_ADDRESS_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'An address does not have the form host:port.',
    remedy: 'Write the address as host:port, an IPv6 host in brackets.',
  },
  RPC_LISTEN_FAILED: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: EXIT.network,
    sentence: 'The server cannot listen on its address.',
    remedy: 'Free the port, choose another one, or use port 0 for any free one.',
  },
  RPC_UNAVAILABLE: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: EXIT.network,
    sentence: 'The other side cannot be reached.',
    remedy:
      'Check address, firewall and proxy; outbound TCP to the address that the message names must be open. If the server moved, give its new address as network.rounds in agent.yaml or in operator.yaml.',
  },
  RPC_DEADLINE: {
    grpc: 'DEADLINE_EXCEEDED',
    http: 504,
    exit: EXIT.network,
    sentence: 'The other side did not answer in time.',
    remedy:
      'Try again; if it persists, look at the load of the other side and at the network between.',
  },
  RPC_TLS_REFUSED: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'No trusted TLS 1.3 connection could be made with the other side.',
    remedy:
      'Check that both certificates are valid now and from the same consortium, and that nothing on the way decrypts TLS.',
  },
  RPC_PIN_MISMATCH: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The server is not the one that the invitation names.',
    remedy:
      'If the issuer named is your own firewall or proxy, ask for an exemption from TLS inspection; else ask the operator for a new invitation and compare the pin by telephone.',
  },
  RPC_UNAUTHENTICATED: {
    grpc: 'UNAUTHENTICATED',
    http: 401,
    exit: EXIT.identity,
    sentence: 'The call needs a certificate of this consortium.',
    remedy: 'Enrol this silo, or use the operator home that belongs to the consortium.',
  },
  RPC_FORBIDDEN: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: EXIT.identity,
    sentence: 'The certificate does not allow this call.',
    remedy: 'Make the call with the role that it belongs to: silo, operator or aggregator.',
  },
  RPC_MESSAGE_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A message does not have the form that the protocol gives it.',
    remedy: 'Compare the versions of both sides; if they agree, report it.',
  },
  RPC_MESSAGE_TOO_LARGE: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 413,
    exit: EXIT.integrity,
    sentence: 'A message is larger than the protocol allows.',
    remedy: 'Compare the versions of both sides; vectors and models travel in pieces.',
  },
  RPC_BUSY: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 429,
    exit: EXIT.network,
    sentence: 'The server takes no more calls from this caller for the moment.',
    remedy:
      'Try again in a second; if it persists, look for a program that repeats itself, or have the limits of the server raised (limits in aggregator.yaml).',
  },
  RPC_UNIMPLEMENTED: {
    grpc: 'UNIMPLEMENTED',
    http: 501,
    exit: EXIT.version,
    sentence: 'The other side does not know this call.',
    remedy:
      'Check that the address belongs to the right listener and that both sides run compatible versions.',
  },
  RPC_PEER_FAILED: {
    grpc: 'INTERNAL',
    http: 502,
    exit: EXIT.unexpected,
    sentence: 'The other side failed without saying why.',
    remedy: 'Read the log of the other side at the time of the call.',
  },
  RPC_CHUNK_ORDER: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'The pieces of a transfer did not come in order.',
    remedy: 'Start the transfer again.',
  },
  RPC_CHUNK_SIZE: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A transfer is shorter or longer than announced, or longer than allowed.',
    remedy: 'Start the transfer again; if it persists, compare the versions of both sides.',
  },
  RPC_CHUNK_HASH: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: EXIT.integrity,
    sentence: 'The content of a transfer does not have the announced hash.',
    remedy: 'Start the transfer again; if it persists, treat the sender or the network as faulty.',
  },
} as const satisfies CatalogueSection;
