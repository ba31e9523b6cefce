//! Hostile templates: each ends in a typed error (or quickly in little text), within 64 MiB. Time is printed, not
//! asserted; memory is counted by this test's own allocator, so the cases run one after the other in one test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use inkling_base::ManualClock;
use inkling_text::template::{ChatTemplate, Message, TemplateError, TemplateInput};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEMORY: usize = 64 << 20;

/// Templates that must end in an error.
fn hostile() -> Vec<(&'static str, String)> {
    let double = |step: &str| {
        format!(
            "{{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}}{{% for i in range(90) %}}{step}{{% endfor %}}{{{{ ns.x }}}}"
        )
    };
    let text = |template: &str| template.to_owned();
    vec![
        ("range", text("{% for i in range(10**9) %}{% endfor %}")),
        ("nested loops", text("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}")),
        (
            "loops that print",
            text("{% for i in range(9999) %}{% for j in range(9999) %}aaaaaaaaaaaaaaaa{% endfor %}{% endfor %}"),
        ),
        ("doubling with ~", double("{% set ns.x = ns.x ~ ns.x %}")),
        ("doubling with +", double("{% set ns.x = ns.x + ns.x %}")),
        ("doubling with *", double("{% set ns.x = ns.x * 2 %}")),
        ("doubling with set block", double("{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}")),
        ("doubling with format", double("{% set ns.x = '%s%s' % (ns.x, ns.x) %}")),
        ("doubling with str.format", double("{% set ns.x = '{0}{0}'.format(ns.x) %}")),
        ("doubling with join", double("{% set ns.x = [ns.x, ns.x]|join %}")),
        ("growing with replace", double("{% set ns.x = ns.x|replace('a', 'aaaa') %}")),
        ("growing with replace of nothing", double("{% set ns.x = ns.x.replace('', ns.x[:64]) %}")),
        ("growing with join of itself", double("{% set ns.x = ns.x.join(['b', 'b', 'b']) %}")),
        ("growing with escape", double("{% set ns.x = (ns.x ~ '&')|forceescape ~ ns.x %}")),
        ("growing with repr", double("{% set ns.x = [ns.x, ns.x]|string %}")),
        ("growing with tojson", double("{% set ns.x = [ns.x, ns.x]|tojson %}")),
        ("growing with indent", double("{% set ns.x = (ns.x ~ '\\n' ~ ns.x)|indent(99, true) %}")),
        ("growing with urlencode", double("{% set ns.x = (ns.x ~ '%')|urlencode ~ ns.x %}")),
        ("growing with upper", double("{% set ns.x = (ns.x ~ 'ß')|upper ~ ns.x %}")),
        ("repeat", text("{{ 'a' * 10**9 }}")),
        ("repeat huge", text("{{ 'a' * 10**30 }}")),
        ("repeat of a list", text("{{ [1] * 10**9 }}")),
        (
            "doubling a list",
            text("{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"),
        ),
        (
            "doubling a tuple",
            text("{% set ns = namespace(x=(1,)) %}{% for i in range(90) %}{% set ns.x = ns.x * 2 %}{% endfor %}"),
        ),
        ("list of characters", text("{% set x = 'a' * 9999999 %}{{ x|list|length }}")),
        (
            "sliced characters",
            text("{% set x = 'a' * 9999999 %}{% for i in range(9999) %}{{ x[::-1]|length }}{% endfor %}"),
        ),
        ("split", text("{% set x = 'a ' * 4999999 %}{{ x.split(' ')|length }}")),
        ("splitlines", text("{% set x = '\\n' * 9999999 %}{{ x.splitlines()|length }}")),
        (
            "long strings compared",
            text("{% set x = 'a' * 5000000 %}{% set y = x ~ 'b' %}{% for i in range(99999) %}{{ x == y }}{% endfor %}"),
        ),
        (
            "long strings searched",
            text("{% set x = 'a' * 5000000 %}{% for i in range(99999) %}{{ 'b' in x }}{% endfor %}"),
        ),
        (
            "long strings counted",
            text("{% set x = 'a' * 5000000 %}{% for i in range(99999) %}{{ x|length }}{% endfor %}"),
        ),
        (
            "long strings trimmed",
            text("{% set x = ' ' * 5000000 %}{% for i in range(99999) %}{{ x|trim }}{% endfor %}"),
        ),
        (
            "long strings indexed",
            text("{% set x = 'a' * 5000000 %}{% for i in range(99999) %}{{ x[-4999999] }}{% endfor %}"),
        ),
        (
            "long string titled",
            text("{% set x = 'a' * 5000000 %}{% for i in range(99999) %}{% set y = x|title %}{% endfor %}"),
        ),
        ("width of %", text("{{ '%999999999d' % 1 }}")),
        ("width of %*", text("{{ '%*d' % (10**12, 1) }}")),
        ("precision of %", text("{{ '%.999999999f' % 1.5 }}")),
        ("precision of %d", text("{{ '%.999999999d' % 1 }}")),
        ("width of format", text("{{ '{:999999999}'.format('a') }}")),
        ("precision of format", text("{{ '{:.99999999f}'.format(1.5) }}")),
        ("center", text("{{ 'a'|center(10**9) }}")),
        ("ljust", text("{{ 'a'.ljust(10**9) }}")),
        ("zfill", text("{{ 'a'.zfill(10**9) }}")),
        ("expandtabs", text("{{ ('\\t' * 1000).expandtabs(10**9) }}")),
        ("indent", text("{{ 'a\\nb'|indent(10**9, true) }}")),
        ("tojson indent", text("{{ [[1]]|tojson(indent=10**9) }}")),
        ("batch fill", text("{{ [1]|batch(10**9, 0)|list|length }}")),
        ("slice", text("{{ [1]|slice(10**9)|list|length }}")),
        ("wordwrap", text("{{ ('a' * 999999)|wordwrap(1, wrapstring='b' * 9999) }}")),
        ("powers", text("{{ 10 ** 10 ** 10 }}")),
        (
            "big integers",
            text("{% set ns = namespace(x=3) %}{% for i in range(999) %}{% set ns.x = ns.x * ns.x %}{% endfor %}"),
        ),
        ("recursive macro", text("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")),
        (
            "mutual macros",
            text(
                "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{% for i in [1] %}{% if true %}{{ f() ~ 1 }}{% endif %}{% endfor %}{% endmacro %}{{ g() }}",
            ),
        ),
        (
            "branching macro",
            text("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(30) }}"),
        ),
        ("recursive caller", text("{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}")),
        ("recursive loop", text("{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}")),
        ("default argument", text("{% macro f(a=f()) %}{% endmacro %}{{ f() }}")),
        (
            "deep list",
            text("{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}"),
        ),
        (
            "deep dict",
            text("{% set ns = namespace(x={}) %}{% for i in range(99999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}"),
        ),
        (
            "shared list printed",
            text(
                "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
            ),
        ),
        (
            "shared list compared",
            text(
                "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
            ),
        ),
        (
            "shared tuple as key",
            text(
                "{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}",
            ),
        ),
        (
            "many namespaces",
            text(
                "{% set ns = namespace(x=0) %}{% for i in range(99999) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}{{ ns.x.x.x.x.x is defined }}",
            ),
        ),
        (
            "loops held by loops",
            text(
                "{% set ns = namespace(x=0) %}{% for i in range(9999) %}{% for y in [ns.x] %}{% set ns.x = loop %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "cyclers held by cyclers",
            text("{% set ns = namespace(x=0) %}{% for i in range(99999) %}{% set ns.x = cycler(ns.x) %}{% endfor %}"),
        ),
        ("maps of maps", text("{{ range(9999)|map('string')|map('center', 9999)|list|length }}")),
        ("sort", text("{% for i in range(999) %}{% set x = range(99999)|sort(reverse=true) %}{% endfor %}")),
        ("strftime", text("{{ strftime_now('%c' * 999999) }}")),
        ("raise", text("{{ raise_exception('a' * 10**9) }}")),
        (
            "many dicts",
            text(
                "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = {'a': 1, 'b': 2, 'c': [3]} %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "many calls",
            text(
                "{% macro f(a, b=2) %}{{ a }}{% endmacro %}{% for i in range(9999) %}{% for j in range(9999) %}{% set x = f(1) %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "many filters",
            text(
                "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = 'a-b'|title|upper|replace('A', 'b')|indent|tojson %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "many methods",
            text(
                "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = 'a b'.split().index('b') ~ 'a'.center(9).strip() %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "many formats",
            text(
                "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = '%.400f %s'|format(1.5, j) ~ '{:.300f}'.format(0.1) %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "many times",
            text(
                "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = strftime_now('%d') %}{% endfor %}{% endfor %}",
            ),
        ),
        (
            "many sorts",
            text(
                "{% for i in range(9999) %}{% for j in range(9999) %}{% set x = [3, 1, 2]|sort|unique|list|sum %}{% endfor %}{% endfor %}",
            ),
        ),
        ("deep parentheses", format!("{{{{ {}1{} }}}}", "(".repeat(60_000), ")".repeat(60_000))),
        ("deep lists", format!("{{{{ {}{} }}}}", "[".repeat(60_000), "]".repeat(60_000))),
        ("deep unary", format!("{{{{ {}1 }}}}", "-".repeat(200_000))),
        ("deep not", format!("{{{{ {}1 }}}}", "not ".repeat(50_000))),
        ("deep if", "{% if 1 %}".repeat(25_000)),
        ("deep conditions", format!("{{{{ {}1 }}}}", "1 if 0 else ".repeat(20_000))),
        ("chained conditions", format!("{{{{ {}1 }}}}", "1 if ".repeat(50_000))),
        ("deep calls", format!("{{{{ {}1{} }}}}", "f(".repeat(50_000), ")".repeat(50_000))),
        ("deep targets", format!("{{% set {}x{} = 1 %}}", "(".repeat(60_000), ")".repeat(60_000))),
        ("large source", "a".repeat(300_000)),
    ]
}

/// Templates that are large or odd, and legal: they end well, or in an error of Python's.
fn legal() -> Vec<(&'static str, String)> {
    vec![
        ("long sum", format!("{{{{ {}1 }}}}", "1+".repeat(120_000))),
        ("long concatenation", format!("{{{{ {}1 }}}}", "1~".repeat(120_000))),
        ("long chain of items", format!("{{{{ x{} }}}}", "[0]".repeat(80_000))),
        ("long chain of filters", format!("{{{{ 1{} }}}}", "|abs".repeat(60_000))),
        ("long elif", format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(20_000))),
        ("long list", format!("{{{{ [{}]|length }}}}", "1,".repeat(120_000))),
        ("many variables", (0..15_000).map(|i| format!("{{%set v{i}=1%}}")).collect()),
        ("many statements", "{{1}}".repeat(50_000)),
        ("open comment", "{#".repeat(120_000)),
        ("open raw", format!("{{% raw %}}{}", "{% endraw".repeat(25_000))),
        ("tags of nothing", "{{".repeat(100_000)),
    ]
}

fn run(source: &str) -> (Result<String, TemplateError>, usize, u128) {
    let input = TemplateInput::new([Message::user("hello")]);
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = Instant::now();
    let result = ChatTemplate::parse(source).and_then(|template| template.render(&input, &ManualClock::default()));
    (result, PEAK.load(Relaxed) - before, start.elapsed().as_millis())
}

#[test]
fn hostile_templates_end_in_errors_and_bounded_memory() {
    let work = || {
        let mut failures = Vec::new();
        let (mut most, mut longest) = (0, 0);
        for (name, source, must_fail) in
            hostile().into_iter().map(|(n, s)| (n, s, true)).chain(legal().into_iter().map(|(n, s)| (n, s, false)))
        {
            let (result, peak, millis) = run(&source);
            println!(
                "{name}: {} KiB, {millis} ms, {}",
                peak >> 10,
                match &result {
                    Ok(text) => format!("{} bytes", text.len()),
                    Err(error) => error.to_string().chars().take(90).collect(),
                }
            );
            if must_fail && result.is_ok() {
                failures.push(format!("{name} did not fail"));
            }
            if peak > MEMORY {
                failures.push(format!("{name} took {} MiB", peak >> 20));
            }
            (most, longest) = (most.max(peak), longest.max(millis));
        }
        println!("at most {} MiB, {longest} ms", most >> 20);
        assert!(failures.is_empty(), "{failures:#?}");
    };
    // What a secondary thread has on iOS: nesting must fit.
    std::thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_long_conversation_renders() {
    let template = ChatTemplate::parse(
        "{% set ns = namespace(out='') %}{% for m in messages[::-1] %}{% for n in messages[loop.index0:] %}{% if n.role == 'system' %}{% break %}{% endif %}{% endfor %}{{ '<|' ~ m.role ~ '|>' ~ m.content|trim }}\n{% endfor %}",
    )
    .unwrap();
    let input = TemplateInput::new((0..1000).map(|i| Message::user(format!("{i} ").repeat(500))));
    let text = template.render(&input, &ManualClock::default()).unwrap();
    assert_eq!(text.lines().count(), 1000);
}
