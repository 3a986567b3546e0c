//! One good configuration, and what each mistake in it is told.

use super::*;
use crate::proxy::Profile;

const PLANS: &str = include_str!("../../../plans.toml");
const GOOD: &str = include_str!("../../../tiergate.toml");

/// A folder with the plans and the configuration beside each other.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("plans.toml"), PLANS).expect("a file");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn parse(&self, text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = variables.iter().map(own).collect();
        Config::parse(&self.path("tiergate.toml"), text, &environment)
    }
}

/// What is said of the good configuration after a replacement in it.
#[track_caller]
fn mistake(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "`{from}` is not in the good configuration");
    mistake_in(&GOOD.replacen(from, to, 1))
}

#[track_caller]
fn mistake_in(text: &str) -> String {
    let folder = Folder::new();
    let error = folder.parse(text, &[]).expect_err("there is a mistake");
    let path = folder.path("").display().to_string();
    error.to_string().replace(&path, "")
}

/// The line of the good configuration that begins so.
fn line_of(start: &str) -> usize {
    GOOD.lines().position(|line| line.starts_with(start)).expect("it is there") + 1
}

#[test]
fn the_shape_to_aim_at() {
    let folder = Folder::new();
    let config = folder.parse(GOOD, &[]).expect("no mistake");
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:4180");
    assert_eq!(config.gateway.proxy, Profile::Traefik);
    assert_eq!(config.gateway.trusted_proxies, ["127.0.0.1/32".parse().expect("a network")]);
    assert_eq!(config.gateway.deadline.as_secs(), 2);
    assert!(config.gateway.tls.is_none());
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:4181");
    assert_eq!(config.store.url(), format!("sqlite:{}", folder.path("tiergate.db").display()));
    assert_eq!(config.store.max_stale.as_secs(), 86_400);
    assert_eq!(config.store.cache_tenants, 100_000);
    assert_eq!(config.tokens.cache_entries, 100_000);
    assert_eq!(config.tokens.leeway.as_secs(), 15);
    assert_eq!(config.tokens.max_bytes, 16 * 1024);
    assert_eq!(config.issuers.len(), 1);
    assert_eq!(config.issuers[0].policy().url(), "https://id.example.com/oidc");
    assert_eq!(config.routes.iter().len(), 13);
    assert_eq!(config.log, Log { format: LogFormat::Json, level: "info".to_owned() });
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_feature_that_no_route_asks_for_is_a_warning() {
    let text = GOOD.replace("[\"live_route_debugger\"]", "[]");
    let config = Folder::new().parse(&text, &[]).expect("no mistake");
    assert_eq!(
        config.warnings,
        ["no route asks for the feature `live_route_debugger`, so the gateway does not enforce it"]
    );
}

#[test]
fn unknown_keys() {
    assert_eq!(
        mistake("listen          =", "lisen           ="),
        "tiergate.toml:7:1: unknown key `lisen`; did you mean `listen`?"
    );
    assert_eq!(
        mistake("schema = 1", "schema = 1\nplan = 2"),
        "tiergate.toml:4:1: unknown key `plan`; did you mean `plans`?"
    );
    assert_eq!(
        mistake("{ access = \"public\" }", "{ acces = \"public\" }"),
        format!(
            "tiergate.toml:{}:42: unknown key `acces`; did you mean `access`?",
            line_of("\"GET /healthz\"")
        )
    );
    assert!(mistake("[store]", "[stores]").contains("unknown key `stores`; did you mean `store`?"));
}

#[test]
fn values_of_the_wrong_type() {
    let check = |from: &str, to: &str, expected: &str| {
        let told = mistake(from, to);
        assert!(told.ends_with(expected), "{told}");
    };
    check(
        "\"24h\"",
        "24",
        "a number stands where a text is needed; write it in quotes, as in `\"24h\"`",
    );
    check(
        "100_000",
        "\"5\"",
        "a text stands where a number is needed; write digits without quotes",
    );
    check(
        "[\"topology_graph\"]",
        "\"topology_graph\"",
        "a text stands where a list is needed; write it in brackets, as in `[\"a\"]`",
    );
    check(
        "{ access = \"public\" }",
        "\"public\"",
        "a text stands where a table is needed; write keys and values, as in `{ key = \"value\" }`",
    );
    check(
        "{ access = \"public\" }",
        "{ preflight = \"yes\" }",
        "a text stands where a yes or no is needed; write `true` or `false`",
    );
    check(
        "\"plans.toml\"",
        "3",
        "a number stands where a path is needed; write it in quotes, as in `\"plans.toml\"`",
    );
    check(
        "  # single_tenant = { tenant = \"acme\", client_ids",
        "  single_tenant = { client_ids",
        "`tenant` is missing; add `tenant = ...`",
    );
    // What stands at the wrong place may be a secret.
    let store = "[store]                                      # tenants, licenses, audit\nurl       = \"sqlite:tiergate.db\"";
    let start = GOOD.find(store).expect("it is there");
    let end = start + GOOD[start..].find("[tokens]").expect("it follows");
    let without =
        format!("store = \"postgres://a:secret@db/t\"\n{}{}", &GOOD[..start], &GOOD[end..]);
    let told = mistake_in(&without);
    assert!(
        told.contains("a text stands where a table is needed") && !told.contains("secret"),
        "{told}"
    );
}

#[test]
fn what_must_be_said() {
    assert!(
        mistake("trusted_proxies = [\"127.0.0.1/32\"]", "")
            .starts_with("tiergate.toml:6:1: `gateway.trusted_proxies` is missing; name the")
    );
    assert!(mistake("schema = 1", "").contains("`schema` is missing"));
    assert!(mistake("schema = 1", "schema = 2").contains(":3:10: `schema`: version 2 is not"));
    assert!(mistake("plans  = \"plans.toml\"", "").contains("`plans` is missing"));
    assert!(mistake("\"plans.toml\"", "\"other.toml\"").contains("cannot be read"));
    assert!(mistake("proxy           = \"traefik\"", "").contains("`gateway.proxy` is missing"));
    assert!(mistake_in("schema = 1\nplans = \"plans.toml\"\n").contains("`[gateway]` is missing"));
}

#[test]
fn the_gateway() {
    assert!(mistake("\"traefik\"", "\"treafik\"").contains("did you mean `traefik`?"));
    assert!(mistake("[\"127.0.0.1/32\"]", "[]").contains("`gateway.trusted_proxies` is empty"));
    assert!(mistake("\"127.0.0.1/32\"", "\"0.0.0.0/0\"").contains("trusts everybody"));
    assert!(mistake("\"127.0.0.1/32\"", "\"::/0\"").contains("trusts everybody"));
    assert!(mistake("\"127.0.0.1/32\"", "\"10.0.0.1/8\"").contains("write `10.0.0.0/8`"));
    assert!(mistake("\"127.0.0.1/32\"", "\"traefik\"").contains("`traefik` is not a network"));
    assert!(mistake("\"127.0.0.1:4180\"", "\"4180\"").contains("`4180` is not an address"));
    assert!(
        mistake("\"127.0.0.1:4181\"", "\"127.0.0.1:4180\"")
            .contains("`127.0.0.1:4180` is where the gateway listens; write another port")
    );
    assert!(
        mistake("[admin]", "[gateway.tls]\ncertificate = \"gate.pem\"\n[admin]")
            .contains("`gateway.tls.key_file` is missing")
    );
}

#[test]
fn the_snapshot() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let key = folder.path("snapshot.key");
    let with = |lines: &str| GOOD.replacen("[store]", &format!("[store]\n{lines}"), 1);
    let both = with("snapshot = \"t.snapshot\"\nsnapshot_key_file = \"snapshot.key\"");
    let told = |text: &str| folder.parse(text, &[]).expect_err("a mistake").to_string();
    assert!(folder.parse(GOOD, &[]).expect("no mistake").store.snapshot.is_none());
    assert!(told(&both).contains("`store.snapshot_key_file`: `"));
    std::fs::write(&key, [7; 32]).expect("a file");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
    assert!(told(&both).contains("is open to others (mode 0640); run `chmod 600 "));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let store = folder.parse(&both, &[]).expect("no mistake").store;
    assert_eq!(store.snapshot.expect("it is configured").path, folder.path("t.snapshot"));
    std::fs::write(&key, [7; 31]).expect("a file");
    assert!(told(&both).contains("the key has 31 bytes; it needs 32"));

    let half = told(&with("snapshot = \"t.snapshot\""));
    assert!(half.contains("`store.snapshot` needs `snapshot_key_file`"), "{half}");
    let half = told(&with("snapshot_key_file = \"snapshot.key\""));
    assert!(half.contains("is the key of `store.snapshot`, which is missing"), "{half}");
    for (file, mistake) in [(".", "names no file"), ("snapshot.key", "name the same file")] {
        let lines = format!("snapshot = \"{file}\"\nsnapshot_key_file = \"snapshot.key\"");
        assert!(told(&with(&lines)).contains(mistake), "{file}");
    }
}

#[test]
fn the_store() {
    assert!(
        mistake("\"sqlite:tiergate.db\"", "\"postgres://a:secret@db/t\"")
            .contains("`store.url` holds a password; put the url into a file")
    );
    assert!(!mistake("\"sqlite:tiergate.db\"", "\"postgres://a:secret@db/t\"").contains("secret"));
    assert!(mistake("url       =", "url_file  =").contains("cannot be read"));
    for nowhere in ["tiergate.db", "mysql://a@db/t", ""] {
        let told = mistake("\"sqlite:tiergate.db\"", &format!("\"{nowhere}\""));
        assert!(told.contains("the url names no store; write `sqlite:FILE`"), "{told}");
    }
    assert!(mistake("\"24h\"", "\"1 day\"").contains("`1 day` is not a duration"));
    assert!(mistake("\"24h\"", "\"400d\"").contains("out of bounds"));

    let folder = Folder::new();
    std::fs::write(folder.path("url"), "postgres://a:secret@db/t\n").expect("a file");
    let text = GOOD.replace("url       = \"sqlite:tiergate.db\"", "url_file = \"url\"");
    let config = folder.parse(&text, &[]).expect("no mistake");
    assert_eq!(config.store.url(), "postgres://a:secret@db/t");
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn tokens_and_log() {
    assert!(mistake("100_000", "0").contains("`tokens.cache_entries`: write a number"));
    assert!(mistake("\"15s\"", "\"1h\"").contains("`tokens.leeway`: `1h` is out of bounds"));
    assert!(mistake("\"16KiB\"", "\"16KB\"").contains("`16KB` is not a size"));
    assert!(mistake("\"json\"", "\"xml\"").contains("unknown format `xml`"));
    assert!(mistake("\"info\"", "\"loud\"").contains("`loud` is no level"));
}

#[test]
fn issuers() {
    let url = "\"https://id.example.com/oidc\"";
    assert!(mistake(url, "\"http://id.example.com/oidc\"").contains("is not encrypted"));
    assert!(mistake(url, "\"id.example.com\"").contains("it begins with `https://`"));
    assert!(mistake(url, "\"https://id.example.com/?x\"").contains("has a query"));
    assert!(mistake(url, "\"https:///oidc\"").contains("has no host"));
    assert!(
        mistake(url, "\"https://id.example.com/oidc/.well-known/openid-configuration\"")
            .contains("`iss` of its tokens: `https://id.example.com/oidc`")
    );
    let folder = Folder::new();
    for loopback in ["http://127.0.0.1:3001/oidc", "http://[::1]/oidc", "http://localhost/oidc"] {
        let text = GOOD.replace("https://id.example.com/oidc", loopback);
        assert!(folder.parse(&text, &[]).is_ok(), "{loopback}");
    }
    // With `keys_from` nobody asks the issuer's own address: it is only compared with `iss`.
    let text = GOOD
        .replace("https://id.example.com/oidc", "http://logto:3001/oidc")
        .replace("# keys_from ", "keys_from ");
    let config = folder.parse(&text, &[]).expect("no mistake");
    assert_eq!(config.issuers[0].policy().url(), "http://logto:3001/oidc");
    assert!(mistake("\"logto\"", "\"log to\"").contains("must be made of letters"));
    assert!(
        mistake("\"organization\"", "\"organisation\"").contains("did you mean `organization`")
    );
    assert!(
        mistake(
            "audience = \"https://server.example.com\"",
            "audience = \"https://api.example.com\""
        )
        .contains("in two blocks")
    );
    assert!(
        mistake("[[issuer.accept]]", "algorithms = [\"HS256\"]\n[[issuer.accept]]")
            .contains("unknown algorithm `HS256`; write one of `ES384`")
    );
    let roles = "roles    = {";
    assert!(
        mistake(roles, "single_tenant = { tenant = \"acme\" }\nroles = {")
            .contains("`single_tenant` needs `client_ids`")
    );
    assert!(
        mistake(roles, "single_tenant = { tenant = \"ACME\", client_ids = [\"c\"] }\nroles = {")
            .contains("`single_tenant.tenant`")
    );
    assert!(
        mistake(
            "path     = \"organization\"",
            "path = \"organization\"\norganization_tokens = { client_ids = [] }"
        )
        .contains("`organization_tokens` needs `client_ids`")
    );
}

#[test]
fn routes_that_no_request_can_take() {
    let line = "\"GET /healthz\"                       = { access = \"public\" }";
    let with = |text: &str| mistake(line, text);
    assert_eq!(
        with("\"GET /api/v1/exchanges/{other}\" = { scopes = [\"traces:read\"] }"),
        format!(
            "tiergate.toml:{}:1: route `GET /api/v1/exchanges/{{other}}`: `traces.example.com GET \
             /api/v1/exchanges/{{id}}` and `traces.example.com GET /api/v1/exchanges/{{other}}` \
             match the same requests with method `GET`; remove one",
            line_of("\"GET /healthz\"")
        )
    );
    assert!(with("\"GET /a/../b\" = {}").contains("no request can have this path"));
    assert!(with("\"GET /a/:id\" = {}").contains("`:id` would only match itself; write `{id}`"));
    assert!(with("\"GET /a/*\" = {}").contains("`{*rest}` for all that follow"));
    assert!(with("\"get /a\" = {}").contains("`get` is no method"));
    assert!(with("\"TRACE /a\" = {}").contains("`TRACE` is never routed"));
    assert!(
        with("\"GET /a\" = { scopes = [\"traces:read\"], roles = [\"viewer\"] }")
            .contains("no caller could have both")
    );
    assert!(
        with("\"GET /a\" = { access = \"public\", features = [\"topology_graph\"] }")
            .contains("a public route looks at no credential")
    );
    assert!(
        with("\"GET /a\" = { access = \"authenticated\", features = [\"topology_graph\"] }")
            .contains("features belong to a tenant")
    );
    assert!(with("\"GET /a\" = { access = \"pubic\" }").contains("did you mean `public`?"));
    assert!(
        with("\"GET /a\" = { roles = [\"root\"] }")
            .contains("no issuer gives the role `root`; the roles are `admin`, `operator`")
    );
    assert!(with("\"GET /a\" = { scopes = [\"a b\"] }").contains("`a b` cannot be a scope"));
    assert!(with("\"GET /a\" = { scopes = [\"a\", \"a\"] }").contains("`a` stands twice"));
    let unknown = with("\"GET /a\" = { features = [\"topology_graf\"] }");
    assert!(unknown.contains("topology_graf") && unknown.contains("topology_graph"), "{unknown}");
    assert!(
        mistake("[routes.\"traces.example.com\"]", "[routes.\"*.example.com\"]")
            .contains("is no host")
    );
    assert!(
        mistake("[routes.\"traces.example.com\"]", "[routes.\"https://traces.example.com\"]")
            .contains("is a url, but a table is for a host")
    );
    assert!(
        mistake("[routes.\"traces.example.com\"]", "[routes.\"Traces.example.com:x\"]")
            .contains("is no host")
    );
    assert!(
        mistake("[routes.\"traces.example.com\"]", "[routes.\"traces.example.com:8443\"]")
            .contains("write `traces.example.com`")
    );
}

#[test]
fn a_cache_of_tenants_has_a_size() {
    for size in ["0", "-1", "10_000_001"] {
        let wrong = format!("[store]\ncache_tenants = {size}");
        assert!(mistake("[store]", &wrong).contains("write a number from 1 to 10000000"), "{size}");
    }
}

#[test]
fn variables_stand_in_for_values() {
    let folder = Folder::new();
    let config = folder
        .parse(
            GOOD,
            &[
                ("TIERGATE_GATEWAY__LISTEN", "0.0.0.0:9000"),
                ("TIERGATE_GATEWAY__TRUSTED_PROXIES", "[\"10.0.0.0/8\", \"fd00::/8\"]"),
                ("TIERGATE_TOKENS__CACHE_ENTRIES", "7"),
                ("TIERGATE_STORE__CACHE_TENANTS", "250000"),
                ("TIERGATE_ISSUER__0__URL", "https://other.example.com/oidc"),
                ("TIERGATE_LOG__FORMAT", "pretty"),
                ("TIERGATE_PORT", "tcp://10.0.0.1:4180"),
                ("PATH", "/bin"),
            ],
        )
        .expect("no mistake");
    assert_eq!(config.gateway.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(config.gateway.trusted_proxies.len(), 2);
    assert_eq!(config.tokens.cache_entries, 7);
    assert_eq!(config.store.cache_tenants, 250_000);
    assert_eq!(config.issuers[0].policy().url(), "https://other.example.com/oidc");
    assert_eq!(config.log.format, LogFormat::Pretty);
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    let check = |name: &str, value: &str, expected: &str| {
        let error = Folder::new().parse(GOOD, &[(name, value)]).expect_err("a mistake");
        assert_eq!(error.to_string(), format!("environment variable `{name}`: {expected}"));
    };
    check("TIERGATE_GATEWAY__LISEN", "x", "unknown key `lisen`; did you mean `listen`?");
    check(
        "TIERGATE_GATEWAY__LISTEN",
        "4180",
        "a number stands where a text is needed; write it in quotes, as in `\"24h\"`",
    );
    check(
        "TIERGATE_ISSUER__1__URL",
        "x",
        "`issuer` is a list of 1, and `1` is none of its indices; they count from 0",
    );
    check("TIERGATE_STORE__URL__X", "x", "`url` is neither a section nor a list");
    check("TIERGATE_LOG__", "x", "the name has an empty part; write `TIERGATE_SECTION__KEY`");
}

#[test]
fn mistakes_of_the_plans_file_stand_there() {
    let folder = Folder::new();
    let broken = PLANS.replace("type = \"switch\" }", "type = \"swich\" }");
    std::fs::write(folder.path("plans.toml"), broken).expect("a file");
    let error = folder.parse(GOOD, &[]).expect_err("a mistake").to_string();
    assert!(error.contains("plans.toml:7:"), "{error}");
}

#[test]
fn broken_toml() {
    let place = format!("tiergate.toml:{}:", line_of("[store]"));
    assert!(mistake("[store]", "[store").starts_with(&place));
}
