/**
 * A server made with AsyncSSH, as its documentation shows one that runs commands: the login shell of the account, as that
 * account. Argument: the address. It logs to stderr in Dropbear's words.
 */
export const ASYNCSSH_SERVER = `
import asyncio, asyncssh, pwd, sys

def log(text):
    print(text, file=sys.stderr, flush=True)

class Server(asyncssh.SSHServer):
    def connection_made(self, connection):
        self.connection = connection
        self.peer = "%s:%d" % connection.get_extra_info("peername")[:2]
        log("Child connection from " + self.peer)
    def begin_auth(self, username):
        self.username = username
        self.connection.set_authorized_keys("/etc/ssh/matrix-keys/" + username)
        return True
    def connection_requested(self, host, port, origin, origin_port):
        return True
    def auth_completed(self):
        log("Pubkey auth succeeded for '" + self.username + "' from " + self.peer)

async def run(process):
    account = pwd.getpwnam(process.get_extra_info("username"))
    child = await asyncio.create_subprocess_exec(
        "setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups",
        account.pw_shell, "-c", process.command, cwd=account.pw_dir,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"HOME": account.pw_dir, "USER": account.pw_name, "SHELL": account.pw_shell, "SSH_CLIENT": "matrix 1 22",
             "PATH": "/usr/local/bin:/usr/bin:/bin"})
    closed = asyncio.ensure_future(process.wait_closed())
    ended = asyncio.ensure_future(child.wait())
    outputs = [asyncio.ensure_future(copy(child.stdout, process.stdout)), asyncio.ensure_future(copy(child.stderr, process.stderr))]
    entered = asyncio.ensure_future(copy(process.stdin, child.stdin))
    entered.add_done_callback(lambda _: child.stdin.close())
    await asyncio.wait({closed, ended}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        await asyncio.wait(outputs, timeout=1)
        process.exit(ended.result())
    for task in [entered, *outputs]:
        task.cancel()

# Not process.redirect(): that of AsyncSSH 2.10 ends the whole connection where a channel is closed while it copies.
async def copy(source, sink):
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except (OSError, asyncssh.Error, asyncssh.BreakReceived, asyncssh.SignalReceived):
        pass

async def main():
    await asyncssh.create_server(Server, sys.argv[1], 22, server_host_keys=["/etc/ssh/ssh_host_ed25519_key"],
                                 process_factory=run, encoding=None, allow_pty=False)
    await asyncio.Event().wait()

asyncio.run(main())
`;
