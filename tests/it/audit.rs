//! The audit log as somebody verifies it who trusts neither the daemon nor its
//! disk: by an export, and by checkpoints that a receiver and a file got.

use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};

use crate::caller::Caller;
use crate::rig::{Daemon, Listener};
use crate::setup::{TOKEN, config_for, nowhere};

/// Runs `plimsoll audit` against a daemon.
pub fn audit(daemon: &Daemon, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["audit", "--server", &daemon.url, "--token", TOKEN])
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_verified_by_what_left_the_host() {
    let receiver = Listener::start(&[]).await;
    let more = format!(
        "[audit]\nfolder = \"witness\"\ncheckpoint_every = \"1s\"\n[notify]\npoll_every = \"20ms\"\n\
         allowed_networks = [\"127.0.0.0/8\"]\n[receivers.vault]\nkind = \"cloudevents\"\nurl = \"{0}\"\nkinds = \
         [\"audit_checkpoint\"]\n[receivers.people]\nkind = \"cloudevents\"\nurl = \"{0}/people\"\n",
        receiver.url
    );
    let mut daemon = Daemon::start(&config_for(&nowhere(), &more)).await;
    let caller = Caller::of(&daemon);
    for number in 0..3 {
        let tenant = json!({"id": format!("tenant-{number}"), "tier": "FREE"});
        assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    }
    let checkpoints = daemon.folder().join("witness/checkpoints.txt");
    let told = receiver.wait_for(1).await;
    assert_eq!((told[0].path.as_str(), &told[0].json()["type"]), ("/", &json!("plimsoll.audit.checkpoint")));
    let key = said(&audit(&daemon, &["key"])).trim().to_owned();
    assert_eq!(told[0].json()["data"]["detail"]["key"], key);
    // At an orderly end the rest is signed for.
    daemon.terminate();
    assert!(daemon.wait().await.success());
    daemon.start_again().await;
    let verify = |input: &str| {
        audit(&daemon, &["verify", "--input", input, "--checkpoints", path(&checkpoints), "--key", &key])
    };

    let export = daemon.folder().join("audit.jsonl");
    assert!(audit(&daemon, &["export", "--output", path(&export)]).status.success());
    let whole = std::fs::read_to_string(&export).unwrap();
    let good = verify(path(&export));
    assert!(good.status.success() && said(&good).contains("checkpoints: whole"), "{}", said(&good));
    let live = audit(&daemon, &["verify", "--checkpoints", path(&checkpoints), "--key", &key]);
    assert!(live.status.success(), "{}", said(&live));

    let lines: Vec<&str> = whole.lines().collect();
    let edited = whole.replace("tenant-1", "tenant-9");
    let cases = [
        (edited, "was changed"),
        ([&lines[..1], &lines[2..]].concat().join("\n"), "line 2 is missing"),
        ([lines[1], lines[0], lines[2]].join("\n"), "stands behind line"),
        (lines[..1].join("\n"), "the end is cut off"),
        (whole[..whole.len() - 9].to_owned(), "can't be read"),
        (format!("{}\n?\n{}\n", lines[0], lines[2..].join("\n")), "line 2 is missing"),
    ];
    for (text, finding) in cases {
        let tampered = daemon.folder().join("tampered.jsonl");
        std::fs::write(&tampered, text).unwrap();
        let found = verify(path(&tampered));
        assert_eq!(found.status.code(), Some(1), "{}", said(&found));
        assert!(said(&found).contains(finding), "{finding}: {}", said(&found));
    }
    for input in [path(&checkpoints), "no-such-file.jsonl"] {
        assert_eq!(verify(input).status.code(), Some(2), "{input} is no export");
    }
    let strange = audit(&daemon, &["verify", "--checkpoints", path(&export), "--key", &key]);
    assert_eq!(strange.status.code(), Some(2), "{}", said(&strange));
    let sheet = said(&audit(&daemon, &["export", "--format", "csv"]));
    assert_eq!(sheet.lines().count(), lines.len() + 1, "{sheet}");
    assert!(sheet.lines().nth(1).unwrap().contains(",tenant_created,") || sheet.contains("token_created"));

    let people = receiver.posted().iter().filter(|post| post.path == "/people").count();
    assert_eq!(people, 0, "only machines are told of checkpoints");
    let signed = std::fs::read_to_string(&checkpoints).unwrap();
    let (torn, piece) = (daemon.folder().join("torn.txt"), signed.split("\n\n").next().unwrap());
    let verify_torn = |text: String| {
        std::fs::write(&torn, text).unwrap();
        audit(&daemon, &["verify", "--checkpoints", path(&torn), "--key", &key, "--output", "json"])
    };
    let passed_over = verify_torn(format!("{piece}{signed}"));
    assert!(passed_over.status.success(), "{}", said(&passed_over));
    assert!(said(&passed_over).contains("checkpoint 1: failed to read a checkpoint: it is cut off"));
    let at_the_end = verify_torn(format!("{signed}{piece}"));
    assert_eq!(at_the_end.status.code(), Some(2), "nobody knows what it said: {}", said(&at_the_end));
    assert!(said(&at_the_end).contains("torn.txt") && said(&at_the_end).contains("remove it"));
    let size = signed.lines().nth(1).unwrap();
    let forged = signed.replacen(&format!("\n{size}\n"), "\n2000\n", 1);
    let other = daemon.folder().join("forged.txt");
    std::fs::write(&other, forged).unwrap();
    let refused = audit(&daemon, &["verify", "--checkpoints", path(&other), "--key", &key]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("signature"), "{}", said(&refused));
}
