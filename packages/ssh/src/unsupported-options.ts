type Values = ReadonlyMap<string, readonly string[]>;

const isOn = (value: string) => !/^(?:no|false|none|off|)$/iu.test(value);
const isOff = (value: string) => /^(?:no|false)$/iu.test(value);

/**
 * Options of ssh_config that change who is trusted, how we log in or what runs, and that farside can't keep; with what
 * makes each of them set in the output of `ssh -G`, which prints defaults too.
 */
const rules: readonly (readonly [name: string, isSet: (value: string) => boolean])[] = [
  ["BindInterface", isOn],
  ["CertificateFile", isOn],
  ["Compression", isOn],
  ["ControlMaster", isOn],
  ["ControlPath", isOn],
  ["DynamicForward", isOn],
  ["ForwardAgent", isOn],
  ["GSSAPIAuthentication", isOn],
  ["GSSAPIKeyExchange", isOn],
  ["HostbasedAuthentication", isOn],
  ["KnownHostsCommand", isOn],
  ["LocalCommand", isOn],
  ["LocalForward", isOn],
  ["NoHostAuthenticationForLocalhost", isOn],
  ["ProxyUseFdpass", isOn],
  ["PubkeyAuthentication", isOff],
  ["RekeyLimit", (value) => !/^(?:0|default)(?: (?:0|none))?$/iu.test(value)],
  ["RemoteCommand", isOn],
  ["RemoteForward", isOn],
  ["RevokedHostKeys", isOn],
  ["Tunnel", isOn],
  ["VerifyHostKeyDNS", isOn],
];

/** The names, as ssh_config(5) spells them, of options in `values` (keys in lower case) that are set and can't be kept. */
export function unsupportedOptions(values: Values): string[] {
  return rules
    .filter(([name, isSet]) => (values.get(name.toLowerCase()) ?? []).some(isSet))
    .map(([name]) => name);
}
