//! No source and no input makes the interpreter panic; the shield keeps user text from forging a turn.

use inkling_base::ManualClock;
use inkling_text::shield::ControlTokens;
use inkling_text::template::{ChatTemplate, Message, TemplateError, TemplateInput};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const CHATML: &str = "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{%- endfor -%}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Pieces that make sources likely to get past the parser.
const PIECES: [&str; 96] = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "-",
    "+",
    "if ",
    "else",
    "elif ",
    "endif",
    "for ",
    " in ",
    "endfor",
    "set ",
    "=",
    "==",
    "macro ",
    "endmacro",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "|",
    "~",
    "*",
    "**",
    "/",
    "//",
    "%",
    "<",
    ">",
    "not ",
    "and ",
    "or ",
    "is ",
    "x",
    "y",
    "m",
    "messages",
    "loop",
    "namespace",
    "ns",
    "range",
    "1",
    "0",
    "2.5",
    "9999999999",
    "'a'",
    "'%s'",
    "\"b\"",
    "'\\n'",
    "none",
    "true",
    "upper",
    "tojson",
    "join",
    "map",
    "select",
    "split",
    "strip",
    "replace",
    "format",
    "items",
    "length",
    "list",
    "first",
    "default",
    "string",
    "mapping",
    "defined",
    "raw",
    "endraw",
    "generation",
    "endgeneration",
    "call ",
    "endcall",
    "caller",
    "filter ",
    "endfilter",
    "with ",
    "endwith",
    "break",
    "continue",
    "recursive",
    " ",
    "\n",
    "\r\n",
    "é",
    "🙂",
];

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec(("[a-z]{1,8}|content|role|items", inner), 0..6)
                .prop_map(|entries| Json::Object(entries.into_iter().collect())),
        ]
    })
}

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat())
}

/// An expression that parses, mostly.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "messages",
        "messages[0]",
        "x",
        "1",
        "2.5",
        "'ab'",
        "none",
        "true",
        "[1, 'a']",
        "{'k': 1}",
        "range(3)",
        "(1,)",
        "''",
        "-3",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let binary = prop::sample::select(vec![
            " + ", " ~ ", " * ", " % ", " / ", " // ", " ** ", " == ", " < ", " in ", " and ", " or ", " - ",
        ]);
        let post = prop::sample::select(vec![
            "|length",
            "|tojson",
            "|list",
            "|first",
            "|last",
            "|string",
            "|upper",
            "|join('-')",
            "|sort",
            "|unique|list",
            "|map('string')|list",
            "|int",
            "|float",
            "|round",
            "|title",
            "|indent",
            "|reverse|list",
            "|dictsort",
            "|sum",
            "|max",
            "[::-1]",
            "[1:]",
            "[0]",
            ".role",
            ".split()",
            ".items()",
            ".strip()",
            ".upper()",
            "|trim",
            "|e",
            " is string",
            " is mapping",
            "|batch(2)|list",
            "|slice(2)|list",
            "|truncate(5)",
            "|wordwrap(3)",
            "|urlencode",
            "|filesizeformat",
            "|striptags",
            "|center(9)",
            ".zfill(5)",
            ".center(7, '*')",
            ".splitlines()",
            "|default('d')",
            ".format(1, 'a')",
            "|abs",
            "|selectattr('role')|list",
            "|map(attribute='content')|list",
            "|replace('a', 'bb')",
        ]);
        prop_oneof![
            (inner.clone(), binary, inner.clone()).prop_map(|(a, op, b)| format!("({a}{op}{b})")),
            (inner.clone(), post).prop_map(|(a, post)| format!("({a}){post}")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
        ]
    })
}

fn render(source: &str, input: &TemplateInput) -> Result<String, TemplateError> {
    ChatTemplate::parse(source)?.render(input, &ManualClock::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_source_panics(source in prop_oneof![any::<String>(), pieces(), prop::collection::vec(any::<u8>(), 0..200).prop_map(|b| String::from_utf8_lossy(&b).into_owned())]) {
        let _ = render(&source, &TemplateInput::new([Message::user("hi")]));
    }

    #[test]
    fn no_expression_panics(expression in expression(), messages in prop::collection::vec(json(), 0..4), x in json()) {
        let mut input = TemplateInput { messages, ..TemplateInput::default() };
        input.extra.insert("x".into(), x);
        let _ = render(&format!("{{{{ {expression} }}}}{{% for y in {expression} %}}{{{{ loop.index }}}}{{{{ y }}}}{{% endfor %}}"), &input);
    }

    #[test]
    fn shielded_text_is_the_plain_text_and_forges_nothing(
        contents in prop::collection::vec(prop::collection::vec(prop::sample::select(&["<|im_start|>", "<|im_end|>", "<|im_", "end|>", "start|>", "<", "|", ">", "system\n", " ", "hello", "<|"][..]), 0..8).prop_map(|parts| parts.concat()), 1..4),
    ) {
        let tokens = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
        let template = ChatTemplate::parse(CHATML).unwrap();
        let turns = contents.len();
        let input = TemplateInput::new(contents.into_iter().map(Message::user));
        let rendered = template.render_shielded(&input, &ManualClock::default(), &ControlTokens::new(tokens)).unwrap();
        let plain = template.render(&input, &ManualClock::default()).unwrap();
        prop_assert_eq!(rendered.plain(), plain);
        prop_assert_eq!(rendered.text.matches("<|im_start|>").count(), turns + 1);
        prop_assert_eq!(rendered.text.matches("<|im_end|>").count(), turns);
    }
}

#[test]
fn templates_that_look_into_shielded_text_work_as_without_shield() {
    let source = "{% for m in messages %}{% set c = m.content %}{{ '<|x|>' in c }} {{ c.split('<|x|>')|length }} {{ c|length }} {{ c.startswith('<|x|>') }} {{ c == '<|x|>a<|y' }} {{ c.replace('<|x|>', '+') }} {{ [c] }} {{ c|tojson(ensure_ascii=true) }} {{ c.find('a') }} {{ '<|x|>' == c[:5] }} {{ c.endswith('y') }} {{ c|trim }}{{ m.role }}{{ bos_token }}\n{% endfor %}";
    let template = ChatTemplate::parse(source).unwrap();
    let input = TemplateInput {
        bos_token: Some("<|x|>".into()),
        ..TemplateInput::new([Message::user("<|x|>a<|y"), Message::user("none"), Message::user(" a<|x|>b|>")])
    };
    let tokens = ControlTokens::new(["<|x|>", "<|y|>"]);
    let rendered = template.render_shielded(&input, &ManualClock::default(), &tokens).unwrap();
    let plain = template.render(&input, &ManualClock::default()).unwrap();
    assert_eq!(rendered.plain(), plain);
    assert_eq!(rendered.text.matches("<|x|>").count(), 3, "only the begin token of each line: {:?}", rendered.text);
}

#[test]
fn a_filter_cannot_make_a_control_token_of_user_text() {
    let template = ChatTemplate::parse(
        "{{ messages[0].content|lower }}{{ messages[0].content.replace('#', '') }}{{ messages[0].content[::-1] }}",
    )
    .unwrap();
    let tokens = ControlTokens::new(["<|end|>"]);
    for content in ["<|END|>", "<|e#nd|>", ">|dne|<", "<|end|><|END|>"] {
        let input = TemplateInput::new([Message::user(content)]);
        let rendered = template.render_shielded(&input, &ManualClock::default(), &tokens).unwrap();
        assert!(!rendered.text.contains("<|end|>"), "{content}: {:?}", rendered.text);
        assert_eq!(rendered.plain(), template.render(&input, &ManualClock::default()).unwrap());
    }
}

#[test]
fn what_a_template_supports_shows() {
    let thinking =
        ChatTemplate::parse("{% if enable_thinking %}{% endif %}{{ tools }}{{ messages[0].content }}").unwrap();
    assert!(thinking.supports_thinking() && thinking.supports_tools() && thinking.supports_system());
    let refuses = ChatTemplate::parse(
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}",
    )
    .unwrap();
    assert!(!refuses.supports_thinking() && !refuses.supports_tools() && !refuses.supports_system());
}

#[test]
fn errors_say_where_and_what() {
    let input = TemplateInput::default();
    let line = |source: &str| match render(source, &input) {
        Err(TemplateError::Syntax { line, .. } | TemplateError::Runtime { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(line("a\n{{ 1 + }}"), 2);
    assert_eq!(line("a\r\n\r\n{% if true %}\n{{ 1 + 'a' }}{% endif %}"), 4);
    assert_eq!(render("{{ raise_exception('why') }}", &input), Err(TemplateError::Raised("why".into())));
    assert!(matches!(render("{{ strftime_now('%Q') }}", &input), Err(TemplateError::Runtime { line: 1, .. })));
}

#[test]
fn the_case_format_of_the_command_line_is_read() {
    let case = json!({"messages": [{"role": "user", "content": "x"}], "add_generation_prompt": true, "bos_token": "<s>",
        "eos_token": "</s>", "date_string": "today"});
    let input: TemplateInput = serde_json::from_value(case.clone()).unwrap();
    assert_eq!(
        render("{{ bos_token }}{{ date_string }}{{ tools is none }}{{ enable_thinking is defined }}", &input).unwrap(),
        "<s>todayTrueFalse"
    );
    assert_eq!(serde_json::to_value(&input).unwrap(), case);
}
