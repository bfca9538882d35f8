// What the consumers in JavaScript send with: undici's pool, the fastest HTTP client of Node.js, on
// connections that stay open.
import { Pool } from "undici";

// A function (body, id) that POSTs and takes nothing but a 2xx.
export function makeSend(sinkUrl, inFlight) {
  const { origin, pathname } = new URL(sinkUrl);
  const pool = new Pool(origin, { connections: inFlight });
  return async (body, id) => {
    const answer = await pool.request({
      path: pathname,
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Authorization: "Bearer 0123456789012345678901234567890123456789",
        "X-Line-Retry-Key": id,
      },
      body,
    });
    await answer.body.dump();
    if (answer.statusCode < 200 || answer.statusCode > 299) {
      throw new Error(`status ${answer.statusCode}`);
    }
  };
}
