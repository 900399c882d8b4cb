//! Secrets here are put together at run time, so that this file holds none.

use proptest::prelude::*;

use super::*;

/// Random-looking text of a length: letters of both cases and digits.
fn noise(length: usize) -> String {
    let letters = b"aB3dE5gH7jK9mN1pQ2sT4vW6xY8z";
    (0..length).map(|i| char::from(letters[(i * 11 + i / 28) % letters.len()])).collect()
}

fn hex(length: usize) -> String {
    (0..length).map(|i| char::from(b"3f9a07c1e5d28b46"[(i * 7 + i / 16) % 16])).collect()
}

#[test]
fn secrets_of_every_shape_are_taken_out() {
    let (n, h) = (noise, hex);
    let jwt = format!("eyJ{}.eyJ{}.{}", n(20), n(30), n(43));
    let pem = |end: &str| format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n{}\n{end}", n(64), n(64));
    let end = "-----END RSA PRIVATE KEY-----";
    let aws = format!("AKIA{}", "Q7RZ2K5XW3N8T4BV");
    let table: Vec<(String, &str)> = vec![
        (format!("key {aws} here"), "key [secret:aws-key-id] here"),
        (format!("{aws}:{}", n(40)), "[secret:aws-key-id]:[secret:aws-secret]"),
        (format!("{aws}\n{}/{}", n(20), n(19)), "[secret:aws-key-id]\n[secret:aws-secret]"),
        (format!("ASIA{}", "Q7RZ2K5XW3N8T4BV"), "[secret:aws-key-id]"),
        (format!("aws_secret_access_key = {}", n(40)), "aws_secret_access_key = [secret:assignment]"),
        (format!("use ghp_{}.", n(36)), "use [secret:github]."),
        (format!("gho_{}", n(36)), "[secret:github]"),
        (format!("ghs_{}", n(36)), "[secret:github]"),
        (format!("github_pat_{}_{}", n(22), n(59)), "[secret:github]"),
        (format!("glpat-{}", n(20)), "[secret:gitlab]"),
        (format!("sk-{}", n(48)), "[secret:openai]"),
        (format!("sk-proj-{}-{}", n(30), n(30)), "[secret:openai]"),
        (format!("sk-ant-api03-{}", n(90)), "[secret:anthropic]"),
        (format!("xoxb-123456789012-{}", n(24)), "[secret:slack]"),
        (format!("xoxp-123456789012-{}", n(24)), "[secret:slack]"),
        (
            format!("https://hooks.slack.com/services/T0{}/B0{}/{}", n(8), n(8), n(24)),
            "https://hooks.slack.com/services/[secret:slack]",
        ),
        (format!("sk_live_{}", n(24)), "[secret:stripe]"),
        (format!("rk_live_{}", n(24)), "[secret:stripe]"),
        (format!("AIza{}", n(35)), "[secret:google]"),
        (format!("npm_{}", n(36)), "[secret:npm]"),
        (format!("pypi-AgEI{}", n(60)), "[secret:pypi]"),
        (format!("clone_{}", h(48)), "[secret:clone]"),
        (format!("hf_{}", n(34)), "[secret:hugging-face]"),
        (format!("cookie={jwt};"), "cookie=[secret:jwt];"),
        (format!("a\n{}{end}\nb", pem("")), "a\n[secret:private-key]\nb"),
        (format!("{}\nand so on", pem("")), "[secret:private-key]\n\nand so on"),
        (format!("-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----", n(64)), "[secret:private-key]"),
        (format!("Authorization: Bearer {}", n(32)), "Authorization: Bearer [secret:bearer]"),
        (format!("-H 'authorization: bearer {}'", n(32)), "-H 'authorization: bearer [secret:bearer]'"),
        (format!("Authorization: Bearer {jwt}"), "Authorization: Bearer [secret:bearer]"),
        ("postgres://app:s3same@db:5432/x".into(), "postgres://app:[secret:url]@db:5432/x"),
        ("https://:tok3n@host/".into(), "https://:[secret:url]@host/"),
        ("PASSWORD=correcthorse".into(), "PASSWORD=[secret:assignment]"),
        ("export DB_PASSWORD='correct-horse'".into(), "export DB_PASSWORD='[secret:assignment]'"),
        ("TOKEN=abcdefgh12\nNEXT=1".into(), "TOKEN=[secret:assignment]\nNEXT=1"),
        (format!("GITHUB_TOKEN=ghp_{}", n(36)), "GITHUB_TOKEN=[secret:github]"),
        ("API_KEY: \"k3y-v4lue-x\"".into(), "API_KEY: \"[secret:assignment]\""),
        ("{\"client_secret\": \"a1b2c3d4e5\"}".into(), "{\"client_secret\": \"[secret:assignment]\"}"),
        ("{\\\"password\\\": \\\"a1b2c3d4e5\\\"}".into(), "{\\\"password\\\": \\\"[secret:assignment]\\\"}"),
        ("password=hunter22x".into(), "password=[secret:assignment]"),
        ("GET /x?api_key=a1b2c3d4e5&y=1".into(), "GET /x?api_key=[secret:assignment]&y=1"),
        ("STRIPE_SECRET_KEY=whatever-it-is".into(), "STRIPE_SECRET_KEY=[secret:assignment]"),
        (format!("日本{}", "語 PASSWORD=correcthorse"), "日本語 PASSWORD=[secret:assignment]"),
    ];
    for (text, expected) in table {
        let scrubbed = scrub(&text);
        assert_eq!(scrubbed.text, expected, "{text:?}");
        assert!(!scrubbed.found.is_empty());
        assert_eq!(scrub(expected).text, expected, "a fixed point");
    }
}

#[test]
fn ordinary_code_and_prose_stay() {
    let long_image = format!("data:image/png;base64,iVBORw0KGgo{}==", noise(300));
    let sha256 = format!("sha256:{}", hex(64));
    let table = [
        "",
        "commit it and push",
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "c0ffee00-1234-4abc-9def-0123456789ab",
        &long_image,
        &sha256,
        "pip install sk-learn-contrib-lightning-extras",
        "sk-estimator-with-a-very-long-package-name-2",
        "password=None",
        "password = None,",
        "token: string",
        "token: Option<String>",
        "let token = next_token();",
        "self.token = token_source.next_token",
        "token = parser.current_token_2",
        "PASSWORD=$DB_PASSWORD",
        "TOKEN=${{ secrets.GITHUB_TOKEN }}",
        "TOKEN=$(gh auth token)",
        "API_KEY=<your-api-key>",
        "API_KEY=your_api_key_here",
        "API_KEY=process.env.API_KEY",
        "SECRET_KEY=settings.SECRET_KEY",
        "TOKEN = os.environ[\"TOKEN\"]",
        "api_key=os.getenv(\"API_KEY\")",
        "PASSWORD=changeme",
        "SECRET=xxxxxxxxxxxx",
        "PRIVATE_KEY=/etc/app/keys/server.pem",
        "PRIVATE_KEY=./certs/dev.pem",
        "AUTH_TOKEN=https://auth.example.org/token",
        "max_tokens=1000000000",
        "if token == expected_token:",
        "password: \"please enter your password\"",
        "the password: correct horse battery staple",
        "Bearer authentication is described below",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer <token>",
        "https://example.com:8080/path@2x.png",
        "git@github.com:owner/name.git",
        "ssh://git@host/repo.git",
        "postgres://user:$PASSWORD@db/x",
        "std::collections::BTreeMap",
        "eyJ is how base64 of an object begins",
        "eyJhbGciOi.short",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEF\n-----END CERTIFICATE-----",
        "AKIA is a prefix; AKIAIOSFODNN7 is too short",
        "github_pat_ and ghp_ are prefixes",
        "npm_config_registry=https://registry.npmjs.org",
        "clone_from_the_template_into_a_new_folder_please",
        "xoxb-token-goes-here",
        "type Token = { kind: string; secret: boolean }",
        "{\"token\": \"string\", \"password\": \"password\"}",
        "[secret:github] [secret:assignment]",
        "mysk_live_0123456789abcdefgh",
    ];
    for text in table {
        let scrubbed = scrub(text);
        assert!(matches!(scrubbed.text, Cow::Borrowed(_)), "{text:?} became {:?}", scrubbed.text);
        assert!(scrubbed.found.is_empty());
    }
}

#[test]
fn counts_by_kind_and_every_text_of_an_event() {
    use clone_schema::event::{Choice, ChoiceKind, Outcome};
    use clone_schema::{Body, Source, Timestamp};
    let secret = format!("ghp_{}", noise(36));
    assert_eq!(scrub(&format!("{secret} {secret}")).found, BTreeMap::from([("github", 2)]));
    let choice = Choice {
        agent: "a".into(),
        kind: ChoiceKind::Question,
        question: secret.clone(),
        options: vec!["no".into(), secret.clone()],
        choice: Some("PASSWORD=correcthorse".into()),
        outcome: Outcome::Other,
        in_response_to: None,
    };
    let mut event = Event {
        id: "e".into(),
        session_id: "s".into(),
        occurred_at: Timestamp::UNIX_EPOCH,
        source: Source::Agent,
        source_detail: None,
        meta: None,
        body: Body::AgentChoice(choice),
    };
    assert_eq!(scrub_event(&mut event), BTreeMap::from([("assignment", 1), ("github", 2)]));
    assert!(!event.to_json().contains(&secret));
    assert!(scrub_event(&mut event).is_empty());
}

#[test]
fn hostile_texts_take_linear_time() {
    let pieces = ["token=", "-----BEGIN PRIVATE KEY-----", "eyJ.", "a://", "sk-", "PASSWORD=$", "AKIA", "Bearer "];
    // Sixteen times the text takes 16 times as long, or 256 times where it is the square; a machine may be slow, or slow meanwhile.
    let fastest = |text: &str, rounds: usize| {
        let rounds = (0..rounds).map(|_| {
            let started = std::time::Instant::now();
            std::hint::black_box(scrub(text));
            started.elapsed()
        });
        rounds.min().unwrap_or_default()
    };
    for piece in pieces {
        let (short, long) = (piece.repeat((1 << 14) / piece.len()), piece.repeat((1 << 18) / piece.len()));
        let (few, many) = (fastest(&short, 5), fastest(&long, 1));
        assert!(many < few * 100, "{piece:?} took {few:?} and {many:?}");
        let scrubbed = scrub(&long);
        assert_eq!(scrub(&scrubbed.text).text, scrubbed.text, "{piece:?}");
    }
}

fn piece() -> impl Strategy<Value = String> {
    let parts = [
        "ghp_",
        "sk-ant-",
        "sk-",
        "AKIAQ7RZ2K5XW3N8T4BV",
        "PASSWORD=",
        "token: ",
        "\"secret\": \"",
        "://u:",
        "@h",
        "eyJ",
        ".",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "[secret:",
        "]",
        "\"",
        "'",
        "\\",
        "\n",
        " ",
        "=",
        ":",
        "é",
        "clone_",
        "xoxb-",
        "_",
        "-",
        "$",
        ",",
        "hooks.slack.com/services/",
    ];
    prop_oneof![
        prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
        (1_usize..60).prop_map(noise),
        (1_usize..60).prop_map(hex),
        "\\PC{0,8}",
    ]
}

/// Found by fuzzing: an address in the value of a name, and a value in the head of a key.
#[test]
fn what_a_replacement_completes_is_replaced_as_well() {
    for text in [
        "://API_KEY=:N@ ://API_KEY=:N@\0NNN\0\u{1}\t_",
        "#BeareY=SSSSSSSSSS-----BEGIN PRIAPI_KEY=SreY=SSSSSSSSSSS-----BEGINxa PRIVATE KEY-----SSS+SSSSSSppSSSy-_",
    ] {
        let first = scrub(text);
        assert_eq!(scrub(&first.text).text, first.text, "of {text:?}");
        assert!(first.found.values().sum::<u32>() > 1, "{first:?}");
    }
}

proptest! {
    #[test]
    fn scrubbing_twice_is_scrubbing_once(parts in prop::collection::vec(piece(), 0..12)) {
        let text = parts.concat();
        let once = scrub(&text);
        let twice = scrub(&once.text);
        prop_assert_eq!(&twice.text, &once.text, "of {:?}", text);
    }
}
