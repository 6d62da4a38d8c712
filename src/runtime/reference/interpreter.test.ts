import { describeRuntime } from "../../../test/support/runtime-conformance/describe-runtime.ts";
import { createReferenceRuntime } from "./interpreter.ts";

describeRuntime("the reference interpreter", async () => createReferenceRuntime());
