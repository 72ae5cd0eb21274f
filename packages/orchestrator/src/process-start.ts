export { isRunning, processStart } from "@farside/protocol/process-start";
