import { describeFileConstants } from "../../../test/support/runtime-conformance/describe-file-constants.ts";
import { createReferenceRuntime } from "./interpreter.ts";

describeFileConstants("the reference interpreter", async () => createReferenceRuntime());
