// Scenarios of @huggingface/hub, in the same form as scenario.py.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { randomBytes, randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const hub = await import(pathToFileURL(process.env.INTEROP_MODULE));
const hubUrl = process.env.HF_ENDPOINT;
const accessToken = process.env.HF_TOKEN;
const at = { hubUrl, accessToken };
const useXet = false;
const auth = process.env.INTEROP_AUTH === "1";
const client = process.env.INTEROP_CLIENT ?? "js";
const scenarios = [];
const scenario = (name, area, f, only) => scenarios.push({ name, area, f, only });
const id = (name) => `me/${client}-${name}`.replaceAll("_", "-");
const text = (s) => new Blob([s]);

async function make(name, type = "model", more = {}) {
  const repo = { type, name: id(name) };
  if (type === "space") more = { sdk: "static", ...more };
  await hub.createRepo({ ...at, repo, ...more });
  return repo;
}

async function refuses(status, promise) {
  let got;
  try {
    got = await promise;
  } catch (e) {
    assert.equal(e.statusCode, status, `status of ${e}`);
    return e;
  }
  assert.fail(`got ${JSON.stringify(got)} instead of an error ${status}`);
}

async function all(list) {
  const out = [];
  for await (const v of list) out.push(v);
  return out;
}

const names = async (repo, more = {}) =>
  (await all(hub.listFiles({ ...at, repo, recursive: true, ...more })))
    .filter((f) => f.type === "file" && f.path !== ".gitattributes").map((f) => f.path).sort();
const content = async (repo, path, more = {}) => (await hub.downloadFile({ ...at, repo, path, ...more }))?.text();

scenario("account", "base", async () => {
  const who = await hub.whoAmI(at);
  assert.equal(who.name, "me");
  if (auth) await refuses(401, hub.whoAmI({ hubUrl, accessToken: "hf_wrong" }));
});

scenario("create", "base", async () => {
  for (const type of ["model", "dataset", "space"]) {
    const repo = { type, name: id(`create-${type}`) };
    const sdk = type === "space" ? { sdk: "static" } : {};
    const made = await hub.createRepo({ ...at, repo, ...sdk });
    assert.ok(made.repoUrl.startsWith(hubUrl), made.repoUrl);
    await refuses(409, hub.createRepo({ ...at, repo, ...sdk }));
    assert.equal(await hub.repoExists({ ...at, repo }), true);
    await hub.checkRepoAccess({ ...at, repo });
    await hub.deleteRepo({ ...at, repo });
    assert.equal(await hub.repoExists({ ...at, repo }), false);
  }
  const repo = { type: "model", name: id("create-files") };
  await hub.createRepo({ ...at, repo, private: true, license: "mit", files: [{ path: "a.txt", content: text("a") }] });
  assert.deepEqual(await names(repo), ["README.md", "a.txt"]);
  assert.equal((await hub.modelInfo({ ...at, name: repo.name })).private, true);
});

scenario("upload", "base", async () => {
  for (const type of ["model", "dataset", "space"]) {
    const repo = await make(`upload-${type}`, type);
    const done = await hub.uploadFile({ ...at, repo, useXet, file: { path: "dir/a bü.txt", content: text("hello") }, commitTitle: "a title", commitDescription: "and a text" });
    assert.match(done.commit.oid, /^[0-9a-f]{40}$/);
    assert.ok(done.commit.url.startsWith(hubUrl), done.commit.url);
    assert.equal(await content(repo, "dir/a bü.txt"), "hello");
    const big = randomBytes((11 << 20) + 3);
    await hub.uploadFiles({ ...at, repo, useXet, files: [{ path: "big.bin", content: new Blob([big]) }, { path: "w.safetensors", content: text("x") }, { path: "empty", content: text("") }] });
    const back = Buffer.from(await (await hub.downloadFile({ ...at, repo, path: "big.bin" })).arrayBuffer());
    assert.ok(back.equals(big), "the content is another");
    const [info] = await hub.pathsInfo({ ...at, repo, paths: ["big.bin"], expand: true });
    assert.equal(info.lfs.size, big.length);
    assert.ok(info.lastCommit.id);
    assert.equal(await hub.fileExists({ ...at, repo, path: "big.bin" }), true);
    assert.equal(await hub.fileExists({ ...at, repo, path: "nope" }), false);
    assert.equal(await hub.downloadFile({ ...at, repo, path: "nope" }), null);
    assert.equal(await hub.fileDownloadInfo({ ...at, repo, path: "nope" }), null);
    assert.equal((await hub.fileDownloadInfo({ ...at, repo, path: "big.bin" })).size, big.length);
    assert.match(await content(repo, "big.bin", { raw: true }), /^version https:\/\/git-lfs/);
  }
  await refuses(404, hub.uploadFile({ ...at, repo: { type: "model", name: id("nope") }, useXet, file: { path: "a", content: text("a") } }));
});

scenario("upload_xet_refused", "base", async () => {
  const repo = await make("upload-xet"); // the client asks for xet and falls back
  await hub.uploadFile({ ...at, repo, file: { path: "big.bin", content: new Blob([randomBytes(2 << 20)]) } });
  assert.deepEqual(await names(repo), ["big.bin"]);
});

scenario("commit", "base", async () => {
  const repo = await make("commit");
  const first = await hub.commit({ ...at, repo, useXet, title: "one", operations: ["a", "b", "d/c"].map((path) => ({ operation: "addOrUpdate", path, content: text(path) })) });
  await hub.commit({ ...at, repo, useXet, title: "two", parentCommit: first.commit.oid, operations: [{ operation: "delete", path: "a" }, { operation: "addOrUpdate", path: "b", content: text("B") }] });
  assert.deepEqual(await names(repo), ["b", "d/c"]);
  await refuses(412, hub.commit({ ...at, repo, useXet, title: "late", parentCommit: first.commit.oid, operations: [{ operation: "delete", path: "b" }] }));
  await hub.deleteFile({ ...at, repo, path: "b" });
  await hub.deleteFiles({ ...at, repo, paths: ["d/c"] });
  assert.deepEqual(await names(repo), []);
  const history = await all(hub.listCommits({ ...at, repo, batchSize: 2 }));
  assert.equal(history.length, 5);
  assert.equal(history[3].title, "one");
  assert.equal(await hub.countCommits({ ...at, repo }), 5);
  assert.equal(await content(repo, "a", { revision: first.commit.oid }), "a");
});

scenario("branches", "base", async () => {
  const repo = await make("branches");
  await hub.uploadFile({ ...at, repo, useXet, file: { path: "a", content: text("a") } });
  await hub.createBranch({ ...at, repo, branch: "feat-x" });
  await refuses(409, hub.createBranch({ ...at, repo, branch: "feat-x" }));
  await hub.createBranch({ ...at, repo, branch: "feat-x", overwrite: true });
  await hub.uploadFile({ ...at, repo, useXet, branch: "feat-x", file: { path: "b", content: text("b") } });
  assert.deepEqual(await names(repo, { revision: "feat-x" }), ["a", "b"]);
  assert.deepEqual(await names(repo), ["a"]);
  await hub.deleteBranch({ ...at, repo, branch: "feat-x" });
  await refuses(404, all(hub.listFiles({ ...at, repo, revision: "feat-x" })));
});

scenario("empty_branch", "repos", async () => {
  const repo = await make("empty-branch");
  await hub.createBranch({ ...at, repo, branch: "bare", empty: true });
  await hub.uploadFile({ ...at, repo, useXet, branch: "bare", file: { path: "b", content: text("b") } });
  assert.deepEqual(await names(repo, { revision: "bare" }), ["b"]);
});

scenario("info", "base", async () => {
  const model = await make("info");
  await hub.uploadFile({ ...at, repo: model, useXet, file: { path: "README.md", content: text("---\nlicense: mit\npipeline_tag: text-classification\ntags: [x]\n---\n# T\n") } });
  const got = await hub.modelInfo({ ...at, name: model.name, additionalFields: ["author", "cardData", "tags", "sha", "createdAt"] });
  assert.equal(got.name, model.name);
  assert.equal(got.task, "text-classification");
  assert.equal(got.cardData.license, "mit");
  assert.ok(got.updatedAt instanceof Date && !Number.isNaN(+got.updatedAt));
  const data = await make("info", "dataset");
  assert.equal((await hub.datasetInfo({ ...at, name: data.name })).name, data.name);
  const space = await make("info", "space");
  assert.equal((await hub.spaceInfo({ ...at, name: space.name })).sdk, "static");
  await refuses(404, hub.modelInfo({ ...at, name: id("nope") }));
});

scenario("lists", "base", async () => {
  const mark = randomUUID().slice(0, 8);
  for (const type of ["model", "dataset", "space"]) await make(`lists-${mark}`, type);
  await make(`lists-${mark}-2`);
  assert.equal((await all(hub.listModels({ ...at, search: { query: mark } }))).length, 2);
  assert.equal((await all(hub.listModels({ ...at, search: { query: mark, owner: "me" }, limit: 1 }))).length, 1);
  assert.deepEqual((await all(hub.listDatasets({ ...at, search: { query: mark } }))).map((d) => d.name), [id(`lists-${mark}`)]);
  assert.deepEqual((await all(hub.listSpaces({ ...at, search: { query: mark }, additionalFields: ["sha"] }))).map((d) => d.name), [id(`lists-${mark}`)]);
  assert.equal((await all(hub.listModels({ ...at, search: { query: mark }, sort: "createdAt", additionalFields: ["author", "sha", "cardData"] })))[0].author, "me");
});

scenario("tree", "base", async () => {
  const repo = await make("tree", "dataset");
  const files = Array.from({ length: 1050 }, (_, n) => ({ path: `d${n % 2}/${String(n).padStart(4, "0")}.txt`, content: text(String(n)) }));
  await hub.uploadFiles({ ...at, repo, useXet, files });
  assert.equal((await names(repo)).length, 1050);
  const top = await all(hub.listFiles({ ...at, repo }));
  assert.deepEqual(top.map((f) => f.path).sort(), [".gitattributes", "d0", "d1"]);
  const some = await all(hub.listFiles({ ...at, repo, path: "d1", expand: true }));
  assert.equal(some.length, 525);
  assert.ok(some.every((f) => f.lastCommit?.id));
});

scenario("snapshot", "base", async () => {
  const repo = await make("snapshot");
  const cacheDir = mkdtempSync(join(tmpdir(), "js-"));
  await hub.uploadFiles({ ...at, repo, useXet, files: [{ path: "a.txt", content: text("a") }, { path: "sub/b.bin", content: new Blob([randomBytes(1 << 20)]) }] });
  const path = await hub.snapshotDownload({ ...at, repo, cacheDir });
  assert.equal(readFileSync(join(path, "a.txt"), "utf8"), "a");
  assert.equal(readFileSync(join(path, "sub/b.bin")).length, 1 << 20);
  assert.equal(await hub.snapshotDownload({ ...at, repo, cacheDir }), path);
  const one = await hub.downloadFileToCacheDir({ ...at, repo, path: "a.txt", cacheDir });
  assert.equal(readFileSync(one, "utf8"), "a");
  const scan = await hub.scanCacheDir(cacheDir);
  assert.deepEqual(scan.repos.map((r) => r.id.name), [repo.name]);
});

scenario("safetensors", "base", async () => {
  const header = Buffer.from(JSON.stringify({ w: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] } }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const repo = await make("safetensors");
  await hub.uploadFile({ ...at, repo, useXet, file: { path: "model.safetensors", content: new Blob([size, header, Buffer.alloc(24)]) } });
  const got = await hub.parseSafetensorsMetadata({ ...at, repo: repo.name, computeParametersCount: true });
  assert.deepEqual(got.parameterCount, { F32: 6 });
});

scenario("strangers", "base", async () => {
  const hidden = await make("hidden", "model", { private: true });
  await refuses(401, hub.checkRepoAccess({ hubUrl, repo: hidden }));
  assert.equal(await hub.repoExists({ hubUrl, repo: hidden }).catch((e) => e.statusCode === 401 ? false : e), false);
  await refuses(401, all(hub.listFiles({ hubUrl, repo: hidden })));
  await refuses(403, hub.createRepo({ ...at, repo: { type: "model", name: "someone-else/x" } }));
}, true);

scenario("pull_request", "repos", async () => {
  const repo = await make("pull-request");
  const done = await hub.uploadFile({ ...at, repo, useXet, isPullRequest: true, file: { path: "a", content: text("a") } });
  assert.match(done.pullRequestUrl, /\/discussions\/1$/);
  assert.deepEqual(await names(repo, { revision: "refs/pr/1" }), ["a"]);
});

scenario("collections", "spaces", async () => {
  const { slug } = await hub.createCollection({ ...at, collection: { title: id("c").slice(3), namespace: "me", private: true } });
  assert.ok((await all(hub.listCollections({ ...at, search: { owner: ["me"] } }))).some((c) => c.slug === slug));
  await hub.deleteCollection({ ...at, slug });
});

scenario("jobs", "spaces", async () => {
  assert.ok(Array.isArray(await hub.listJobs({ ...at, namespace: "me" })));
  assert.ok((await hub.listJobHardware(at)).length > 0);
  await refuses(404, hub.getJob({ ...at, namespace: "me", jobId: "0123456789abcdef01234567" }));
});

for (const { name, area, f, only } of scenarios) {
  const wanted = (process.env.INTEROP_RUN ?? "").split(" ").filter(Boolean);
  if (wanted.length && !wanted.includes(name) && !wanted.includes(`js_${name}`)) continue;
  const start = Date.now();
  let status = "ok", detail = "";
  if (only !== undefined && only !== auth) status = "-";
  else
    try {
      await f();
    } catch (e) {
      const lacks = /this server (has|keeps) no /.test(`${e} ${JSON.stringify(e.data ?? "")}`);
      status = area !== "base" && process.env.INTEROP_ALL !== "1" && lacks ? "not yet" : "FAILED";
      if (status === "FAILED") detail = `${e.name}: ${e.message} ${(e.stack ?? "").split("\n").find((l) => l.includes("hub.mjs:")) ?? ""}`;
    }
  console.log("\n@@ " + JSON.stringify({ scenario: `js_${name}`, area, status, detail: detail.slice(0, 1500), seconds: (Date.now() - start) / 1000 }));
}
console.log('\n@@ {"end": true}');
process.exit(0);
