// Workers that run tests: pytest_workerd.py connects, and gets one for as long as it stays connected.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { startWorkerd } from './workerd.mjs';
import { migrateAll, workerOptions } from './wrangler.mjs';

export const PLACE = '/__pytest__'; // where pytest_worker.py takes orders
const CLASSES = ['python_no_global_handlers', '2025-08-14']; // until when main modules have functions
const MARK = '\x1e'; // what begins its lines of the log

/** A Worker that runs tests. `log` gets what it logs that is not for whoever it is lent to. */
export class Tester {
  /** Resolves to one that is ready; `starting` goes with the order `start` that it gets first. */
  static async start({ config, modules, snapshot }, { starting, log }) {
    const tester = new Tester();
    tester.tell = () => {};
    tester.starting = starting;
    // What a test sends to a queue is nobody's: it would be handled amid another test.
    const { queueConsumers, cronTriggers, ...options } = testerOptions(config);
    // Tests say where they call from, so that they can be many callers.
    const worker = { ...options, modules, stripCfConnectingIp: false };
    tester.workerd = startWorkerd([worker], {
      snapshot,
      handleStructuredLogs({ message }) {
        if (message.startsWith(MARK)) return tester.tell(message.slice(MARK.length));
        tester.tell(JSON.stringify({ kind: 'log', text: message }));
        log(message);
      },
    });
    tester.url = new URL(PLACE, await tester.workerd.ready);
    await migrateAll(tester.workerd, config);
    return tester;
  }

  order(details) {
    return order(this.url, details.order === 'start' ? { ...details, ...this.starting } : details);
  }

  stop() {
    return this.workerd.dispose();
  }
}

/** A Worker of `config`, for Miniflare, whose main module has the class of pytest_worker.py. */
export function testerOptions(config) {
  const options = workerOptions(config, {});
  const { compatibilityDate, compatibilityFlags } = options;
  const [needed, since] = CLASSES;
  const kept = compatibilityFlags.filter((flag) => !flag.endsWith(needed));
  if (compatibilityDate < since) kept.push(needed);
  return { ...options, compatibilityFlags: kept };
}

/** Resolves to what pytest_worker.py at `url` answers. Rejects with what went wrong there. */
export async function order(url, details) {
  // Not fetch, which waits five minutes at most.
  const request = http.request(url, { method: 'POST' }).end(JSON.stringify(details));
  const [response] = await once(request, 'response');
  const text = (await response.toArray()).join('');
  if (response.statusCode === 200) return JSON.parse(text);
  const hung = /will never generate a response|code had hung/.test(text);
  throw new Error(hung ? 'it waits for something that never comes' : text.trim());
}

/** Lends Workers to whoever connects: a line of JSON for an order, lines for what it tells. */
export class Testers {
  #idle = [];
  #all = new Set();

  /** `start` starts a Tester. */
  constructor(start) {
    this.start = start;
    this.server = net.createServer((socket) => this.#lend(socket).catch(() => socket.destroy()));
  }

  /** Resolves to the address to connect to. */
  async open() {
    this.#idle.push(this.#make());
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `127.0.0.1:${this.server.address().port}`;
  }

  /** Ends them all; whoever connects next gets a new one. */
  async renew() {
    this.#idle = [];
    await Promise.all([...this.#all].map((tester) => this.#end(tester)));
    this.#idle.push(this.#make());
  }

  /** The ones that have started and are not lent out. */
  idle() {
    return Promise.all(this.#idle);
  }

  async close() {
    this.server.close();
    await Promise.all([...this.#all].map((tester) => this.#end(tester)));
  }

  #make() {
    const tester = this.start();
    this.#all.add(tester);
    tester.catch(() => {}); // whoever is lent it hears of it
    return tester;
  }

  async #end(tester) {
    this.#all.delete(tester);
    await (await tester.catch(() => undefined))?.stop();
  }

  async #lend(socket) {
    const borrowed = this.#idle.pop() ?? this.#make();
    let isBusy = false;
    socket.on('error', () => {}); // as when it closes
    socket.once('close', () => {
      if (isBusy) this.#end(borrowed);
      else if (this.#all.has(borrowed)) this.#idle.push(borrowed);
    });
    const say = (kind, details) => socket.write(`${JSON.stringify({ kind, ...details })}\n`);
    let tester;
    try {
      tester = await borrowed;
    } catch (error) {
      await this.#end(borrowed);
      say('gone', { why: error.message });
      return socket.end();
    }
    tester.tell = (line) => socket.write(`${line}\n`);
    for await (const line of createInterface({ input: socket })) {
      isBusy = true;
      try {
        say('result', { value: await tester.order(JSON.parse(line)) });
        isBusy = false;
      } catch (error) {
        say('gone', { why: error.message });
        socket.end();
      }
    }
  }
}
