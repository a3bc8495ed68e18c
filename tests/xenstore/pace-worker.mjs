/** Reads one node of a XenStore again and again, in a thread of its own, and says how many reads there were and their median in microseconds. */
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const PATH = '/tool\0';
const request = Buffer.alloc(16 + PATH.length);
request.writeUInt32LE(2, 0); // READ
request.writeUInt32LE(PATH.length, 12);
request.write(PATH, 16, 'latin1');

let took = [];
let start = 0;
const socket = connect({ path: workerData.path });
const ask = () => {
  start = performance.now();
  socket.write(request);
};
// The value is empty or the node is gone: either way the reply is short, and comes alone.
socket.on('data', () => {
  took.push((performance.now() - start) * 1000);
  ask();
});
socket.once('connect', ask);

parentPort.on('message', (message) => {
  if (message === 'stop') {
    socket.destroy();
    parentPort.close();
    return;
  }
  const sorted = took.sort((a, b) => a - b);
  parentPort.postMessage({ reads: took.length, median: sorted[sorted.length >> 1] ?? 0 });
  took = [];
});
