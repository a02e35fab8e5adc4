// The Worker in Pyodide, behind HTTP on loopback.
import { once } from 'node:events';
import http from 'node:http';
import { runFile } from './python.mjs';

const METHODS_WITHOUT_BODY = new Set(['GET', 'HEAD']);

/**
 * Makes what workers-runtime-sdk needs of the platform: the modules that workerd has built in.
 *
 * `env` is what `workers.env` shows. The originals of the modules are in
 * https://github.com/cloudflare/workerd/tree/main/src/pyodide.
 */
export function registerPlatform(python, env) {
  python.registerJsModule('_cloudflare_compat_flags', {
    python_workflows_implicit_dependencies: true,
    python_request_headers_preserve_commas: true,
  });
  python.registerJsModule('_pyodide_entrypoint_helper', {
    cloudflareWorkersModule: { env, waitUntil: inBackground },
    cloudflareSocketsModule: {},
    doAnImport: (module) => import(module),
    patchWaitUntil() {},
    patch_env_helper: function* () {
      yield;
    },
  });
  for (const binding of Object.values(env)) binding?.host?.(python); // Durable Objects: objects.mjs
}

/**
 * Loads the Worker with `env`, as a new isolate would: no module of the Worker or of the platform is
 * shared with one loaded earlier.
 *
 * Returns `fetch(request, ctx)`, which takes and resolves to what the web platform calls Request and
 * Response. Throws when the Worker's modules cannot be imported.
 */
export function loadWorker(python, env) {
  registerPlatform(python, env);
  const isolate = runFile(python, 'load_worker.py');
  return (request, ctx) => isolate.callPromising(request, env, ctx);
}

/**
 * Serves `fetch` on 127.0.0.1. `port` 0 takes a free one. Throws when the port is taken.
 *
 * As on Workers: bodies stream in and out, requests interleave, a client that leaves aborts
 * `request.signal` and cancels the answer's stream, and an exception is a 500 that says nothing.
 * Returns the address.
 */
export async function serve(fetch, port = 0) {
  const server = http.createServer((incoming, outgoing) => {
    answer(fetch, incoming, outgoing).catch((error) => {
      console.error(error);
      outgoing.destroy();
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

async function answer(fetch, incoming, outgoing) {
  const client = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) client.abort();
  });
  let request;
  try {
    request = requestFrom(incoming, client.signal);
  } catch {
    outgoing.writeHead(400).end(); // no URL, method or headers that a Worker could be shown
    return;
  }
  const response = await respond(fetch, request);
  if (!client.signal.aborted) await send(response, outgoing, client.signal);
  else await response.body?.cancel();
  incoming.resume(); // the rest of a body that nobody read, so that its sender reads the answer
}

async function respond(fetch, request) {
  try {
    return await fetch(request, { waitUntil: inBackground, passThroughOnException() {} });
  } catch (error) {
    console.error(error.message ?? error);
    return new Response('error code: 1101', { status: 500 });
  }
}

function requestFrom(incoming, signal) {
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  }
  // As Cloudflare sets it; here a client may say another, so that tests can be many callers.
  if (!headers.has('cf-connecting-ip')) {
    headers.set('cf-connecting-ip', incoming.socket.remoteAddress);
  }
  const { method } = incoming;
  const hasBody =
    !METHODS_WITHOUT_BODY.has(method) &&
    ('content-length' in incoming.headers || 'transfer-encoding' in incoming.headers);
  const body = hasBody ? bodyFrom(incoming) : undefined;
  const url = new URL(incoming.url, `http://${incoming.headers.host}`);
  return new Request(url, { method, headers, body, signal, duplex: 'half' });
}

// Not Readable.toWeb(): cancelling that would close the connection before it was answered.
function bodyFrom(incoming) {
  const chunks = incoming.iterator({ destroyOnReturn: false });
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(new Uint8Array(value));
      },
      cancel: () => chunks.return(),
    },
    { highWaterMark: 0 },
  );
}

async function send(response, outgoing, signal) {
  const headers = [...response.headers]; // a set-cookie each, all others merged
  outgoing.writeHead(response.status, headers.flat());
  outgoing.flushHeaders();
  const reader = response.body?.getReader();
  signal.addEventListener('abort', () => reader?.cancel('the client left').catch(() => {}));
  try {
    for (let part; reader && !(part = await reader.read()).done;) {
      if (!outgoing.write(part.value))
        await Promise.race([once(outgoing, 'drain'), once(outgoing, 'close')]);
    }
    outgoing.end();
  } catch (error) {
    console.error(error.message ?? error);
    outgoing.destroy(); // a stream that broke: the client must not take it for the whole
  }
}

function inBackground(promise) {
  Promise.resolve(promise).catch(console.error);
}
