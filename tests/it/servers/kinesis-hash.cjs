// Preloaded into kinesis-local (`node -r kinesis-hash.cjs`): PutRecords groups its records by a key that holds all
// records of the shard, and hashes that key anew for each record, so that writing n records costs n * n. Vectors and
// records never change there; here they remember their hash. Nothing else of the server is touched.
'use strict';

const Module = require('node:module');

const VECTOR = {
  before: `
$h_sc_AbstractSeq.prototype = $p;
$p.C9 = (function(that) {
  return true;
});
$p.b = (function(o) {
  return $f_sc_Seq__equals__O__Z(this, o);
});
$p.g = (function() {
`,
  hash: '$m_s_util_hashing_MurmurHash3$().GE(this)',
  condition: 'this instanceof $c_sci_Vector',
};
const RECORD = {
  before: '\n$p.g = (function() {\n',
  hash: '$m_s_util_hashing_MurmurHash3$().Q(this, (-171008355), true)',
  condition: 'true',
};

function remember(source, { before, hash, condition }) {
  const whole = `${before}  return ${hash};`;
  if (source.split(whole).length !== 2) {
    throw new Error('kinesis-hash.cjs was written for another version of kinesis-local');
  }
  return source.replace(whole, () => `${before}  return ${condition} ? (this.hashRemembered ??= ${hash}) : ${hash};`);
}

const compile = Module.prototype._compile;
Module.prototype._compile = function (source, filename, ...rest) {
  const server = filename.endsWith('/kinesis-local/main.js');
  return compile.call(this, server ? [VECTOR, RECORD].reduce(remember, source) : source, filename, ...rest);
};
