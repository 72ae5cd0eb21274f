/**
 * farside as a library: opens the forward, uses it for as long as the scope lives, and prints the receipt.
 *
 *   tsx --conditions=@farside/source examples/library.ts builder@build 4444:localhost:4444 [signer@sign [ssh_config]]
 */
import { deployAndForward, type ForwardOptions } from "@farside/orchestrator";

const [jump = "builder@build", forwards = "4444:localhost:4444", via, configFile] = process.argv.slice(2);
const options: ForwardOptions = { jump, forwards, ...(via && { via }), ...(configFile && { configFile }) };

await using session = await deployAndForward(options);
const print = (what: string, value: unknown) => process.stdout.write(`${what}: ${JSON.stringify(value)}\n`);
for (const { bound, target } of session.forwards) print("open", { bound, target });

// Here a build job on the jump host uses the port. Leaving the scope would end the session as well; this prints the receipt.
const { receipt } = await session.close();
print("receipt", receipt);
