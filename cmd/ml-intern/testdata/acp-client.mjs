// Drives `ml-intern acp` with the TypeScript library of the protocol, which checks
// what it is sent: a session with modes, a question, a stop, and loading it again.
// Prints what came of it as JSON, with every message of the program.
// node acp-client.mjs LIBRARY FOLDER PROGRAM ARGS...
import { spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

const [library, dir, program, ...args] = process.argv.slice(2);
const acp = await import(pathToFileURL(library).href);
const { agent: A, client: C } = acp.methods ?? { agent: acp.AGENT_METHODS, client: acp.CLIENT_METHODS };
const out = { complaints: [], updates: [], questions: [], messages: [] };
for (const level of ["error", "warn"]) console[level] = (...words) => out.complaints.push(words.map(String).join(" "));

const child = spawn(program, ["acp", ...args], { stdio: ["pipe", "pipe", "inherit"] });
const exited = new Promise((resolve) => child.on("exit", resolve));
let rest = "";
child.stdout.on("data", (piece) => {
  const lines = (rest + piece).split("\n");
  rest = lines.pop();
  for (const line of lines) out.messages.push(JSON.parse(line));
});
const stream = acp.ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout));

let answer = "allow_once";
let asked = () => {};
const app = acp
  .client({ name: "doors" })
  .onRequest("session/request_permission", async ({ params }) => {
    out.questions.push(params);
    asked();
    if (answer === "wait") return new Promise((resolve) => (asked = () => resolve({ outcome: { outcome: "cancelled" } })));
    return { outcome: { outcome: "selected", optionId: answer } };
  })
  .onNotification("session/update", async ({ params }) => void out.updates.push(params));

await app.connectWith(stream, async (ctx) => {
  const say = (sessionId, text) => ctx.request("session/prompt", { sessionId, prompt: [{ type: "text", text }] });
  out.hello = await ctx.request("initialize", {
    protocolVersion: acp.PROTOCOL_VERSION,
    clientInfo: { name: "doors", version: "1" },
    clientCapabilities: { fs: { readTextFile: true, writeTextFile: true }, terminal: true, auth: { terminal: true } },
  });
  const s = (out.session = await ctx.request("session/new", { cwd: dir, mcpServers: [] }));
  const id = s.sessionId;
  await ctx.request("session/set_mode", { sessionId: id, modeId: "strict" });
  out.first = await say(id, "write it");
  answer = "wait";
  const second = new Promise((resolve) => (asked = resolve));
  const stopped = say(id, "write it again");
  await second;
  await ctx.notify("session/cancel", { sessionId: id });
  asked();
  out.second = await stopped;
  out.options = await ctx.request("session/set_config_option", { sessionId: id, configId: "mode", value: "auto" });
  out.third = await say(id, "and the rest");
  await ctx.request("session/close", { sessionId: id });
  out.list = await ctx.request("session/list", { cwd: dir });
  out.live = out.updates.length;
  out.loaded = await ctx.request("session/load", { sessionId: id, cwd: dir, mcpServers: [] });
  await ctx.request("session/close", { sessionId: id });
  out.resumed = await ctx.request("session/resume", { sessionId: id, cwd: dir, mcpServers: [] });
  try {
    await say("nobody", "x");
  } catch (e) {
    out.refused = { code: e.code, message: e.message };
  }
});
child.stdin.end();
out.exit = await exited;
process.stdout.write(JSON.stringify(out));
