//! `[[hook]]`.

use super::*;

#[test]
fn hooks_behind_the_line_get_what_is_judged() {
    let hook = "[[hook]]\nstage = 'after'\ncommand = 'save'\n";
    let config = good(&format!("{hook}{GOOD}"));
    assert_eq!((config.hooks.len(), config.alerts.len(), config.deliveries.len()), (0, 1, 0));
    assert_eq!((config.alerts[0].name.as_str(), config.alerts[0].filter.severity_threshold), ("hook", 0.0));
    let config = good(&format!("{hook}{GOOD}[detect]\ninput = 'records'\n"));
    assert_eq!((config.hooks.len(), config.alerts.len(), config.deliveries.len()), (0, 0, 1));
}

#[test]
fn hooks_are_programs_or_endpoints() {
    let with = |hooks: &str| format!("{hooks}\n{GOOD}");
    let config = good(&with(
        "[[hook]]\nstage = 'before'\ncommand = 'clean'\n[[hook]]\nstage = 'before'\nname = 'far'\n\
         url = 'http://127.0.0.1/x'\nheaders = { Authorization = '${BUCKET}' }\ntimeout = '1s'\nretries = 0",
    ));
    let names: Vec<&str> = config.hooks.iter().map(|hook| &*hook.name).collect();
    assert_eq!(names, ["hook-1", "far"]);
    assert_eq!((config.hooks[0].retries, config.hooks[1].retries), (3, 0));
    let shown = format!("{config:?}");
    assert!(shown.contains("Authorization: ***") && !shown.contains("out/from-env"), "{shown}");
    let problems = problems(&with(
        "[[hook]]\ncommand = ['a']\nurl = 'http://b'\n[[hook]]\nstage = 'beside'\nurl = 'ftp://b'\nretries = 101\n\
         [[hook]]\nstage = 'before'\ncommand = []\nheaders = { a = 'b' }\n[[hook]]\nstage = 'before'\n\
         name = 'hook-1'\ncommand = ['a']\nin_flite = 2\nregion = 'eu-west-1'\n[[hook]]\nstage = 'before'\nfunction = ''\n[[hook]]\n\
         stage = 'before'\nname = 'b'\ncommand = 'a'\nkinds = 'opened'\n[[hook]]\nstage = 'after'\ncommand = 'a'\n\
         measures = 'viewz'\nin_flight = 3",
    ));
    for expected in [
        "`hook[0].stage` is missing; hint: for example `stage = \"before\"`",
        "`hook[0]` needs exactly one of `command`, `url` and `function`",
        "`hook[1].stage` is `beside`, allowed is `before` or `after`",
        "`hook[1].url` is no url, allowed is `https://host/path`",
        "`hook[1].retries` is `101`, allowed is a whole number from 0 to 100",
        "`hook[2].command` is empty; hint: a program and its arguments",
        "`hook[2].headers` is for `url` alone",
        "`hook[3].in_flite` is unknown; hint: did you mean `in_flight`?",
        "`hook[3].region` is for `function` alone",
        "`hook[4].function` is empty",
        "`hook[5].kinds` is for `stage = \"after\"` alone",
        "`hook[6].measures` names `viewz`, which is not a measure; hint: did you mean `views`?",
        "`hook[6].in_flight` is for `stage = \"before\"` alone",
        "`hook[3]` has the name `hook-1` of an earlier hook",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected} in {problems:#?}");
    }
}
