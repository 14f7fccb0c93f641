// Preloaded into servers that would listen on every interface (`node -r loopback.cjs`): they listen on 127.0.0.1.
'use strict';

const net = require('node:net');

const HOST = '127.0.0.1';
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...args) {
  const [first, second] = args;
  // node's own forms: an options object, a normalized array of arguments, or a port with an optional host
  if (Array.isArray(first)) {
    first[0].host = HOST;
  } else if (first !== null && typeof first === 'object') {
    args[0] = { ...first, host: HOST };
  } else if (typeof second === 'string') {
    args[1] = HOST;
  } else {
    args.splice(1, 0, HOST);
  }
  return listen.apply(this, args);
};
