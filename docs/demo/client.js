// The page's side of the worker: a request gives a promise of its answer.

export class Client {
  // onStage gets {stage, text} while Python loads.
  constructor(onStage) {
    this.worker = new Worker("worker.js", { type: "module" });
    this.waiting = new Map();
    this.number = 0;
    this.ready = new Promise((resolve, reject) => {
      this.worker.onerror = (event) => reject(new Error(event.message || "The worker could not be started."));
      this.worker.onmessage = ({ data }) => {
        if (data.stage !== undefined) onStage(data);
        else if (data.failed) reject(new Error(data.failed));
        else if (data.ready) resolve(data.ready);
        else this.settle(data);
      };
    });
  }

  settle({ id, answer, error }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  // Ask Python: a request of `Demo` in demo.py with its arguments.
  ask(request, args = {}) {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, request, args: JSON.stringify(args) });
    });
  }
}
