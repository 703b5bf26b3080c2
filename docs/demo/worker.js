// Runs Python beside the page. It loads Pyodide, NumPy, numasync and the agents, and then answers requests.

let demo;

const say = (stage, text) => postMessage({ stage, text });

async function read(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} could not be loaded (${response.status}).`);
  return response;
}

async function start() {
  say(0, "Loading Python");
  const settings = await (await read("settings.json")).json();
  const base = new URL(settings.pyodide, location.href).href;
  const { loadPyodide } = await import(base + "pyodide.mjs");
  const python = await loadPyodide({ indexURL: base });
  say(1, "Loading NumPy");
  await python.loadPackage("numpy", { messageCallback: () => {} });
  say(2, "Loading numasync and its agents");
  python.unpackArchive(await (await read("numasync.zip")).arrayBuffer(), "zip", { extractDir: "/demo" });
  const files = ["demo.py", ...settings.agents.map((name) => `agents/${name}`)];
  const contents = await Promise.all(files.map(async (path) => (await read(path)).arrayBuffer()));
  python.FS.mkdirTree("/demo/agents");
  files.forEach((path, i) => python.FS.writeFile(`/demo/${path}`, new Uint8Array(contents[i])));
  say(3, "Starting numasync");
  python.runPython("import sys; sys.path.insert(0, '/demo')");
  demo = python.pyimport("demo").Demo();
  postMessage({ ready: answer("agents", "{}") });
}

function answer(request, args) {
  const found = demo.answer(request, args);
  const result = found.toJs({ dict_converter: Object.fromEntries });
  found.destroy();
  return result;
}

onmessage = ({ data: { id, request, args } }) => {
  try {
    postMessage({ id, answer: answer(request, args) });
  } catch (error) {
    postMessage({ id, error: String(error.message || error) });
  }
};

start().catch((error) => postMessage({ failed: String(error.message || error) }));
