// OpenAI's chat completions, answered at once. "stream 500" asks for a stream of 500 chunks.
// Everything else goes where it was sent.
const HEAD = { id: 'cmpl-instant', created: 0, model: 'instant' };
const USAGE = { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 };

export default {
  async fetch(request) {
    if (!request.url.endsWith('/chat/completions')) return fetch(request);
    const { messages, stream } = await request.json();
    if (stream) {
      return new Response(events(parseInt(messages.at(-1).content.split(' ')[1])), {
        headers: { 'content-type': 'text/event-stream' },
      });
    }
    const message = { role: 'assistant', content: 'at once' };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    return Response.json({ ...HEAD, object: 'chat.completion', choices, usage: USAGE });
  },
};

function events(count) {
  const encoder = new TextEncoder();
  const event = (choices, more) => {
    const chunk = { ...HEAD, object: 'chat.completion.chunk', choices, ...more };
    return encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  const word = event([{ index: 0, delta: { content: 'word ' }, finish_reason: null }]);
  let sent = 0;
  // One chunk a read, as they come from a provider.
  return new ReadableStream(
    {
      pull(controller) {
        if (sent++ < count) return controller.enqueue(word);
        controller.enqueue(event([{ index: 0, delta: {}, finish_reason: 'stop' }]));
        controller.enqueue(event([], { usage: USAGE }));
        controller.enqueue(encoder.encode('data: [DONE]\n\n'));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}
