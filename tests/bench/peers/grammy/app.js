// The echo job as one would write it with grammY: an update is durable before its acknowledgement, the reply has a row too.
// node app.js PORT, with DSN, TOKEN, SECRET and BOT_API in the environment.
const http = require("node:http");
const { Bot, webhookCallback } = require("grammy");
const { Pool } = require("pg");

const { DSN, TOKEN, SECRET, BOT_API } = process.env;
const pool = new Pool({ connectionString: DSN, min: 20, max: 20 });
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const bot = new Bot(TOKEN, { client: { apiRoot: BOT_API, baseFetchConfig: { agent, compress: true } } });

// Named, so that the server parses and plans each of them once a connection.
const keep = {
  name: "keep",
  text: `INSERT INTO message (direction, chat, update_id, body, payload) VALUES (0, $1, $2, $3, $4)
         ON CONFLICT DO NOTHING RETURNING id`,
};
const say = { name: "say", text: "INSERT INTO message (direction, chat, body) VALUES (1, $1, $2)" };

bot.on("message:text", async (context) => {
  const { chat, text } = context.message;
  const values = [chat.id, context.update.update_id, text, JSON.stringify(context.update)];
  const kept = await pool.query({ ...keep, values });
  if (kept.rowCount === 0) return; // it came again
  await pool.query({ ...say, values: [chat.id, text] });
  await context.reply(text);
});

const handle = webhookCallback(bot, "http", { secretToken: SECRET, timeoutMilliseconds: 60_000 });
http
  .createServer((request, response) => {
    handle(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
