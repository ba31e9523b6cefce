#!/usr/bin/env python3
"""Compares the chat template interpreter with Jinja2, set up as transformers does it.

    scripts/template-golden.py write            core/text/tests/data/template-golden.json from the snippets below
    scripts/template-golden.py compare DIR...   renders every *.jinja of the folders with both and reports differences

Needs jinja2 3.1 (pip install jinja2). `compare` runs the example `render_cases`, which cargo builds.
"""

import datetime
import itertools
import json
import pathlib
import subprocess
import sys

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "core/text/tests/data/template-golden.json"
UNIX = 1_795_176_000  # 2026-11-20 12:00 UTC


class Generation(Extension):
    """`{% generation %}`: a call block that gives its body back."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(format):
        return datetime.datetime.fromtimestamp(UNIX).strftime(format)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(source, case):
    """What Jinja2 gives: {"output"} or {"error"}."""
    variables = {"tools": None, "documents": None, "add_generation_prompt": False, **case}
    try:
        return {"output": environment().from_string(source).render(**variables)}
    except Exception as error:  # every failure counts as one
        return {"error": f"{type(error).__name__}: {error}"}


# ---------------------------------------------------------------------------------------------------------------------
# Snippets: each is a template of its own that shows one behaviour.

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  Grüße <b>&</b> 'quotes' \"double\"\n\ttab 中文 🙂 "},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nAnswer.", "tool_calls": [
        {"id": "a1", "type": "function", "function": {"name": "add", "arguments": {"x": 1, "y": 2.5, "ok": True, "no": None, "l": [1, "a"], "d": {}}}}]},
    {"role": "tool", "name": "add", "content": "3.5"},
    {"role": "user", "content": [{"type": "text", "text": "part one"}, {"type": "image"}, {"type": "text", "text": "two"}]},
]
INPUT = {
    "messages": MESSAGES, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
    "big": 12345678901234567890, "neg": -7, "pi": 3.14159, "tiny": 1e-7, "huge": 1e22, "one": 1.0, "zero": 0,
    "yes": True, "no": False, "nothing": None, "empty": "", "words": "the quick  brown\tfox\njumps",
    "nums": [3, 1, 2], "names": ["b", "A", "c", "a"], "nested": {"b": [1, {"c": "it's"}], "a": {"x": None, "y": True}},
    "ctl": "a\u0001\u007f\u00a0\u200b\ud7ff\\n\r\n\"'", "items": {"items": 1, "keys": 2, "z": 3},
}

SNIPPETS = r'''
{{ big }} {{ neg }} {{ pi }} {{ tiny }} {{ huge }} {{ one }} {{ yes }} {{ nothing }} [{{ undefined_name }}]
{{ nums }} {{ nested }} {{ ctl }} {{ [ctl] }} {{ ("a",) }} {{ (1, 2) }} {{ () }} {{ [] }} {{ {} }} {{ ["it's", 'a"b', 'both \' "'] }}
{{ messages[2] }}
{{ {"a": 1, 2: "b", none: true, 1.5: [], (1,2): 'x'} }}
{{ nested | tojson }} {{ nested | tojson(indent=2) }} {{ nested|tojson(indent=2, sort_keys=true) }}
{{ messages | tojson }} {{ ctl | tojson }} {{ ctl | tojson(ensure_ascii=true) }} {{ "🙂" | tojson(ensure_ascii=true) }}
{{ nums|tojson(separators=(',', ':')) }} {{ nested|tojson(separators=(',', ':')) }} {{ huge|tojson }} {{ pi|tojson }} {{ (1, 'a')|tojson }} {{ []|tojson(indent=4) }} {{ {}|tojson(indent=4) }} {{ nested|tojson(indent='\t') }}
{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}
{{ undefined_name|tojson }}
{{ nested.b[1].c }} {{ nested['b'][0] }} {{ nested.missing }} {{ nested['missing'] }} {{ nums.0 }} {{ nums[-1] }} {{ nums[9] }} {{ "abc"[1] }} {{ "abc"[-1] }} {{ "abc"[7] }}
{{ nested.missing.deeper }}
{{ undefined_name.x }}
{{ undefined_name['x'] }}
{{ nothing.x }} {{ neg.x }} {{ nothing['x'] }}
{{ messages[::-1]|map(attribute='role')|list }} {{ nums[1:] }} {{ nums[:-1] }} {{ nums[::2] }} {{ nums[5:1:-1] }} {{ nums[-2:] }} {{ "hello"[1:3] }} {{ "hello"[::-1] }} {{ "hello"[-3:-1] }} {{ "hello"[10:] }} {{ nums[::-2] }} {{ (1,2,3)[1:] }} {{ nums[None:2] }}
{{ undefined_name[1:] }}
{{ nested[1:] }}
{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1 + 1.0 }} {{ true + true }} {{ 1e3 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e-3 }} {{ +3 }} {{ --3 }}
{{ "a" + "b" }} {{ "a" ~ 1 ~ none ~ true ~ 1.0 ~ [1] }} {{ [1] + [2, 3] }} {{ (1,) + (2,) }} {{ "ab" * 3 }} {{ 3 * "ab" }} {{ [0] * 3 }} {{ "x" * -1 }} {{ "x" * true }}
{{ "a" + 1 }}
{{ 1 + "a" }}
{{ [1] + (2,) }}
{{ nothing + "a" }}
{{ undefined_name + "a" }}
{{ "a" + undefined_name }}
{{ undefined_name ~ "a" }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 == 1.0 }} {{ 1 == true }} {{ "1" == 1 }} {{ none == false }} {{ [1, 2] == [1, 2] }} {{ (1,) == [1] }} {{ {"a": 1} == {"a": 1.0} }} {{ undefined_name == none }} {{ undefined_name == undefined_b }} {{ undefined_name == "" }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 != 1 }} {{ "a" < "b" }} {{ [1, 2] < [1, 3] }} {{ "Z" < "a" }}
{{ 1 < "a" }}
{{ none < 1 }}
{{ undefined_name < 1 }}
{{ undefined_name > 1 }}
{{ "ell" in "hello" }} {{ "" in "x" }} {{ 1 in nums }} {{ 9 not in nums }} {{ "a" in nested }} {{ "x" in nested.a }} {{ none in [none] }} {{ 2 in (1, 2) }} {{ "a" in undefined_name }} {{ 1 in range(3) }} {{ 'a' in nested.keys() }} {{ not 1 in nums }} {{ not (1 in nums) }}
{{ 1 in "abc" }}
{{ 1 in 5 }}
{{ "a" in none }}
{{ undefined_name in "abc" }}
{{ undefined_name in nums }}
{{ [] in nested }}
{{ none or "x" }} {{ "" and "y" }} {{ 1 and 2 }} {{ 0 or none }} {{ not "" }} {{ 1 if no }} {{ 1 if yes else 2 }} {{ "a" if no else "b" if no else "c" }} {{ (1 if no) is defined }} {{ true and not false or false }} {{ 'a' if yes and 'b' in 'abc' else 'c' }}
{{ yes is true }} {{ 1 is true }} {{ no is false }} {{ yes is boolean }} {{ 1 is number }} {{ true is number }} {{ 1.0 is float }} {{ 1 is integer }} {{ true is integer }} {{ "a" is string }} {{ nums is string }} {{ nested is mapping }} {{ nums is mapping }} {{ nums is iterable }} {{ "a" is iterable }} {{ 1 is iterable }} {{ none is iterable }} {{ nums is sequence }} {{ nested is sequence }} {{ "a" is sequence }} {{ nothing is none }} {{ undefined_name is none }} {{ undefined_name is defined }} {{ undefined_name is not defined }} {{ undefined_name is undefined }} {{ undefined_name is iterable }} {{ undefined_name is sequence }} {{ undefined_name is mapping }} {{ undefined_name is string }} {{ nested.x is defined }} {{ nested.a is defined }} {{ range is callable }} {{ 3 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ "a" is in "abc" }} {{ 1 is in nums }} {{ 1 is eq 1 }} {{ 2 is gt 1 }} {{ 1 is sameas 1 }} {{ "abc" is lower }} {{ "ABC" is upper }} {{ nums is not string and nums is iterable }} {{ nested.items() is iterable }} {{ nested.items() is sequence }} {{ (nums|map('string')) is iterable }} {{ (nums|map('string')) is sequence }} {{ none is not none }} {{ 'x' is filter }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ loop is defined }}
{{ 1 is unknown_test }}
{{ 1|unknown_filter }}
{% if no %}{{ 1|unknown_filter }}{% endif %}ok
{{ " a b ".strip() }}|{{ " a ".lstrip() }}|{{ " a ".rstrip() }}|{{ "xxaxx".strip("x") }}|{{ "abc".rstrip("cb") }}|{{ "\n a\n".strip("\n") }}|{{ words.split() }}|{{ "a,b,,c".split(",") }}|{{ "a,b,c".split(",", 1) }}|{{ "a,b,c".rsplit(",", 1) }}|{{ "  a  b c ".split(none, 1) }}|{{ "  a  b c ".rsplit(none, 1) }}|{{ "".split() }}|{{ "".split(",") }}|{{ "a</think>b</think>c".split("</think>")[-1] }}|{{ 'abc'.split('</think>')|first }}|{{ "a  b".split(" ") }}|{{ " a b c ".split(maxsplit=1) }}
{{ "abc".split("") }}
{{ "a\nb\r\nc\x0bd\n".splitlines() }} {{ "a\nb".splitlines(true) }} {{ "".splitlines() }} {{ "abc".startswith("ab") }} {{ "abc".startswith(("x", "a")) }} {{ "abc".endswith("bc") }} {{ "abc".startswith("b", 1) }} {{ "aXbX".replace("X", "-") }} {{ "aXbX".replace("X", "-", 1) }} {{ "ab".replace("", ".") }} {{ "abcabc".find("c") }} {{ "abcabc".rfind("c") }} {{ "abc".find("z") }} {{ "aaa".count("a") }} {{ "abc".index("b") }} {{ ",".join(["a", "b"]) }} {{ "abc".upper() }} {{ "ABC".lower() }} {{ "hello wORLD it's".title() }} {{ "hELLO wORLD".capitalize() }} {{ "aBc".swapcase() }} {{ "ß".upper() }} {{ "ab".center(7, "*") }} {{ "ab".center(6) }}| {{ "ab".ljust(5) }}| {{ "ab".rjust(5, ".") }} {{ "-42".zfill(6) }} {{ "a-b-c".partition("-") }} {{ "a-b-c".rpartition("-") }} {{ "abc".partition("z") }} {{ "abc".removeprefix("a") }} {{ "abc".removesuffix("c") }} {{ "a\tb".expandtabs(4) }}
{{ "abc".isalpha() }} {{ "123".isdigit() }} {{ "12a".isalnum() }} {{ " ".isspace() }} {{ "".isspace() }} {{ "abc".islower() }} {{ "Abc".istitle() }} {{ "ABC1".isupper() }} {{ "1".isnumeric() }} {{ "1".isdecimal() }} {{ "a1".isidentifier() }} {{ "é".isascii() }}
{{ "abc".index("z") }}
{{ "abc".nope() }}
{{ nums.append(4) }}
{{ nested.update({}) }}
{{ nested.pop("a") }}
{{ ",".join([1, 2]) }}
{{ nested.keys() | list }} {{ nested.values() | list }} {{ nested.items() | list }} {{ nested.get("a") }} {{ nested.get("zz") }} {{ nested.get("zz", 5) }} {{ nested.keys() }} {{ nested.items() }} {{ nums.index(2) }} {{ nums.count(1) }} {{ nested|length }} {{ nested|list }} {{ nested.items()|length }}
{{ items.items is callable }} {{ items.items is string }}
{{ items['items'] }} {{ items.z }} {{ items["keys"] }} {% for k, v in items.items() %}{{ k }}={{ v }};{% endfor %} {% for k, v in items|items %}{{ k }}={{ v }};{% endfor %} {% for k in items %}{{ k }},{% endfor %}
{{ items.items()[0] }}
{% for i in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle("x", "y") }}{{ loop.changed(i > 1) }};{% endfor %}
{% for i in [] %}x{% else %}none{% endfor %} {% for i in undefined_name %}x{% else %}none{% endfor %} {% for c in "héy" %}{{ c }}.{% endfor %}
{% for i in none %}{% endfor %}
{% for i in 5 %}{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{% for i in range(10) if i is odd %}{{ i }}{{ loop.length }}{% if i == 7 %}{% break %}{% endif %}{% endfor %} {% for i in range(5) %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %} {{ range(3) }} {{ range(1, 10, 3)|list }} {{ range(5, 0, -2)|list }} {{ range(3)[1] }} {{ range(0) is defined }}
{% for i in range(100001) %}{% endfor %}
{% set x = 1 %}{% for i in nums %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(x=0, found=false) %}{% for i in nums %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.found }}{{ ns.missing is defined }}{% set ns.new = 'n' %}{{ ns.new }}{{ ns['x'] }}
{% set x.y = 1 %}
{% set d = {} %}{% set d.y = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}
{% set x %}  block {{ 1 }}  {% endset %}[{{ x }}]{% set y | upper | trim %} abc {% endset %}[{{ y }}]
{% if yes %}{% set v = 1 %}{% endif %}{{ v }}{% for i in [1] %}{% set w = 2 %}{% endfor %}{{ w }}{% with q = 3, r = 4 %}{{ q }}{{ r }}{% set s = 5 %}{% endwith %}{{ q }}{{ s }}
{% macro m(a, b=2, c=a) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=4, a=5) }}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}
{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{{ yes }}{% endcall %}
{% macro m() %}<{{ caller(5) }}>{% endmacro %}{% call(x) m() %}in{{ x }}{% endcall %}
{% macro m() %}{{ g }}{% endmacro %}{{ m() }}{% set g = 'late' %}{{ m() }}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro m() %}{% set inner = 1 %}{{ inner }}{% endmacro %}{{ m() }}{{ inner }}{{ m.name }}
{%- macro indent_it(x) -%}
  {%- if x is string -%}
    "{{- x -}}"
  {%- else -%}
    {{- x | tojson -}}
  {%- endif -%}
{%- endmacro -%}
{{ indent_it("s") }} {{ indent_it([1]) }}
{% for m in messages recursive %}{{ m.role }}{% if loop.depth0 == 0 and loop.first %}({{ loop(messages[1:2]) }}){% endif %}{% endfor %}
{% filter upper %}abc {{ 1 }}{% endfilter %} {% filter replace("a", "b")|trim %} aa {% endfilter %}
{% raw %}{{ not }} {% evaluated %}{% endraw %} {%- raw -%}  x  {%- endraw -%} y
{% generation %}text {% set leak = 1 %}{{ yes }}{% endgeneration %}{{ leak }}
{% for m in messages %}{% generation %}{{ loop.index }}{{ m.role }}{% endgeneration %}{% endfor %}
{% block body %}b{{ yes }}{% endblock %} {% autoescape false %}{{ "<" }}{% endautoescape %} {% print 1 %}
{# comment #}a{#- comment -#} b {#- x #} c
   {# lstripped #}
x
   {% if yes %}
  kept
   {% endif %}
 a {% if yes %} b {% endif %} c
	{%+ if yes %}plus{%+ endif %}
{% if yes +%}
newline kept{% endif %}
{%- if yes -%}   tight   {%- endif -%}   next
{{- 1 -}}   {{ 2 }}
{{ 3 }}

two newlines above{{ '\n' }}
{% set x = '\x41\u00e9\U0001F642\101\n\t\\\'\"\q' %}{{ x }}{{ "a" "b" 'c' }}{{ "multi
line" }}
{{ 'a'|upper }}{{ 'A'|lower }}{{ ' a '|trim }}{{ 'xax'|trim('x') }}{{ 'a b-c (d'|title }}{{ 'aB'|capitalize }}{{ 'aba'|replace('a', 'x') }}{{ 'aba'|replace('a', 'x', 1) }}{{ 5|string + '5' }}{{ none|string }}{{ [1]|string }}{{ 1|upper }}{{ undefined_name|upper }}|{{ undefined_name|trim }}|
{{ nums|first }}{{ nums|last }}{{ nums|length }}{{ nums|sum }}{{ nums|max }}{{ nums|min }}{{ nums|sort }}{{ nums|sort(reverse=true) }}{{ names|sort }}{{ names|sort(case_sensitive=true) }}{{ nums|reverse|list }}{{ 'abc'|reverse }}{{ names|unique|list }}{{ nums|join }}{{ nums|join('-') }}{{ messages|join(',', attribute='role') }}{{ []|first }}{{ []|last }}{{ 'abc'|first }}{{ 'abc'|last }}{{ undefined_name|length }}{{ undefined_name|first }}{{ undefined_name|list }}{{ nested|first }}
{{ 5|length }}
{{ none|length }}
{{ (nums|map('string'))|length }}
{{ (nums|map('string'))|last }}
{{ nums|map('string')|join }}{% set g = nums|select('odd') %}{{ g|list }}{{ g|list }}{{ nums|select('gt', 1)|list }}{{ nums|reject('odd')|list }}{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|selectattr('tool_calls')|map(attribute='role')|list }}{{ messages|selectattr('name', 'defined')|map(attribute='name')|join }}{{ messages|rejectattr('role', 'in', ['user', 'tool'])|map(attribute='role')|list }}{{ messages|map(attribute='nope', default='-')|join }}{{ names|map('upper')|list }}{{ messages|map(attribute='content')|map('length')|list }}{{ messages|map(attribute='tool_calls.0.function.name', default='?')|list }}
{{ undefined_name|default('d') }}{{ none|default('d') }}{{ none|default('d', true) }}{{ ''|d('e', true) }}{{ 0|default(1) }}{{ undefined_name|default }}{{ undefined_name.x|default('y') }}
{{ nested.x|default('y') }}{{ nested.x.y|default('z') }}
{{ '42'|int }}{{ 'x'|int }}{{ 'x'|int(7) }}{{ 3.9|int }}{{ '3.9'|int }}{{ '1f'|int(base=16) }}{{ none|int }}{{ true|int }}{{ '1.5'|float }}{{ 'x'|float }}{{ 2|float }}{{ -3|abs }}{{ 42.55|round(1) }}{{ 2.5|round }}{{ 42|round }}{{ 42.1|round(0, 'ceil') }}{{ 42.9|round(0, 'floor') }}{{ 2.675|round(2) }}
{{ undefined_name|int }}
{{ nested|dictsort }}{{ {'b': 1, 'A': 2, 'c': 0}|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(true) }}{{ {'b': 1, 'A': 2}|dictsort(by='value', reverse=true) }}{{ nums|batch(2)|list }}{{ nums|batch(2, 0)|list }}{{ nums|slice(2)|list }}{{ 'a b c'|wordcount }}{{ 'abc def ghi'|truncate(7) }}{{ 'abc def ghi jkl mno'|truncate(9, true) }}{{ 'abc def ghi jkl mno'|truncate(9, false, '…', 0) }}
{{ "a\nb\n\nc"|indent }}|{{ "a\nb\n\nc"|indent(2, true) }}|{{ "a\nb\n\nc"|indent(2, blank=true) }}|{{ "a\nb"|indent('> ') }}|{{ "a\n"|indent }}|{{ ""|indent(first=true) }}
{{ "<a href='x'>&"|e }}{{ "<"|escape|escape }}{{ "<"|safe }}{{ "<"|safe|e }}{{ "<"|forceescape }}{{ ("<"|safe) + "<" }}{{ ("<"|e) ~ "<" }}{{ ["<"|safe] }}{{ "<p>a  <b>b</b></p>"|striptags }}{{ "a b/ü"|urlencode }}
{{ "%s is %d and %.2f %5d|%-5s|%05d %x %r %%"|format("a", 3, 2.5, 42, "l", 42, 255, "q") }} {{ "%s" % "x" }} {{ "%(a)s" % {"a": 1} }} {{ "%s %s" % (1, 2) }} {{ "%e %g %g" % (12345.678, 0.00001, 1e20) }} {{ "%c%c" % ("a", 66) }} {{ "%+d % d" % (1, 1) }} {{ "%s" % [1] }}
{{ "%d" % "x" }}
{{ "%s %s" % "x" }}
{{ "{} {} {0}".format(1, 2) }}
{{ "{} {}".format(1, "b") }} {{ "{1} {0}".format(1, 2) }} {{ "{a} {b[0]} {c.x}".format(a=1, b=[2], c={"x": 3}) }}
{{ "{a} {b[0]} {c[x]}".format(a=1, b=[2], c={"x": 3}) }} {{ "{:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:.2f}|{:,}|{:x}|{!r}|{:d}|{:e}|{:%}".format("a", "b", "c", "d", 42, 3.14159, 1234567, 255, "r", 3, 12345.6789, 0.25) }} {{ "{{}}".format() }}
{{ dict(a=1, b=2) }}{{ dict([["x", 1]]) }}{{ namespace(a=1).a }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('|') %}{{ j() }}{{ j() }}{{ j() }}
{{ raise_exception('no ' ~ messages[0].role) }}
{% if yes %}{{ raise_exception("x") }}{% endif %}
{{ strftime_now("%d %b %Y") }}|{{ strftime_now("%Y-%m-%d %H:%M:%S") }}|{{ strftime_now("%A %a %B %b %d %e %j %U %W %V %G %u %w %y %C %I %l %k %p %P %M %S %f %D %F %T %R %r %c %x %X %n%t%% %-d %-m %_d %^a %h %g") }}|{{ strftime_now("%B %d, %Y") }}|{{ strftime_now("[%z%Z]") }}
{{ undefined_function() }}
{{ "abc"() }}
{{ nested.nope() }}
{{ {"a": 1}["a"] }}{{ {"a": 1}.a }}{{ [1, 2,][1] }}{{ {"a": 1,}|length }}{{ ((1)) }}{{ (1,)[0] }}{{ [[1, 2], [3]][0][1] }}
{{ "a" if "b" is defined and nope is not defined }}{{ -1|abs }}{{ (-1)|abs }}{{ not none is none }}{{ 2 * 3 ~ "x" }}{{ 1 ~ 2 + 3 }}
{{ nums|sort|first }}{{ nums|map('float')|sum }}{{ "a"|string|upper|lower|length }}{{ [1, 2]|map('string')|map('upper')|join(',') }}{{ messages|length > 2 and messages[0]['role'] == 'system' }}
{{ messages[0].role == 'system' and messages[0]['content'] or 'none' }}{{ messages|map(attribute='role')|unique|join(' ') }}{{ messages[1:]|selectattr('role', 'ne', 'user')|list|length }}
{{ ''.join(nums|map('string')) }}{{ ', '.join(nested.keys()) }}{{ nested.a.items()|list|tojson }}{{ 'Ünï'.lower() }}{{ 'ünï'|upper }}{{ 'ab'|list }}{{ words.split()|length }}
{% for message in messages %}{%- if message.role == 'user' and message.content is string %}U:{{ message.content | trim }}
{% elif message['content'] is iterable and message['content'] is not mapping and message.content is not string %}{% for p in message.content %}{% if p.type == 'text' %}{{ p['text'] }}{% elif 'image' in p.type %}<img>{% endif %}{% endfor %}{%- else %}O:{{ message['content'] }}{{ message.tool_calls | tojson if message.tool_calls is defined }}
{%- endif %}{{ '\n' if not loop.last }}{% endfor %}
{%- for m in messages -%}
    {%- set content = m.content if m.content is string else '' %}
    {{- '<|' + m.role + '|>' }}
    {% if loop.first %}
    first
    {%- endif %}
{%- endfor %}
{{ unclosed
{% if %}{% endif %}
{% for x in %}{% endfor %}
{% endif %}
{% if yes %}
{% unknown %}
{{ 1 + }}
{{ "unclosed }}
{% set %}
{% include "x" %}
{% break %}
{{ a b }}
{{ (1, 2 }}
{# unclosed
{{ 'tail' }}
'''


def snippets():
    """One template per line, except that lines from `{%-` or a text on are joined as the marker says."""
    lines = SNIPPETS.strip("\n").split("\n")
    joined = [
        ("{%- macro indent_it", 8), ("   {# lstripped", 11 + 4), ("{% set x = '\\x41", 2),
        ("{% for message in messages %}{%- if", 3), ("{%- for m in messages -%}", 7),
    ]
    templates = []
    at = 0
    while at < len(lines):
        length = next((n for start, n in joined if lines[at].startswith(start)), 1)
        templates.append("\n".join(lines[at : at + length]))
        at += length
    # Line ends and line starts in every combination with signs.
    for left, right, newline in itertools.product(["", "-", "+"], ["", "-", "+"], ["\n", "\r\n", "  \n  "]):
        templates.append(f"a{newline}  {{%{left} if yes {right}%}}{newline}  b{newline}  {{%{left} endif {right}%}}{newline}c{newline}")
        templates.append(f"a{newline}  {{#{left} c {right}#}}{newline}  b{newline}")
        if right != "+":
            templates.append(f"a{newline}  {{{{{left} 1 {right}}}}}{newline}  b{newline}{newline}")
    return templates


def write():
    cases = [{"source": source, **render(source, INPUT)} for source in snippets()]
    GOLDEN.parent.mkdir(exist_ok=True)
    document = {"unix": UNIX, "input": INPUT, "cases": cases}
    GOLDEN.write_text(json.dumps(document, ensure_ascii=True, indent=1) + "\n")
    errors = sum("error" in case for case in cases)
    print(f"{len(cases)} cases, {errors} of them errors, in {GOLDEN.relative_to(ROOT)}")


# ---------------------------------------------------------------------------------------------------------------------
# Whole templates against many conversations.

TOOLS = [
    {"type": "function", "function": {
        "name": "add_note", "description": "Add a note.\nIt's \"quoted\" & <b>.", "parameters": {
            "type": "object", "properties": {
                "title": {"type": "string", "description": "Title"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "level": {"type": "integer", "enum": [1, 2, 3], "default": 1},
                "kind": {"type": ["string", "null"], "nullable": True},
                "place": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}, "required": ["lat"]},
                "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
            "required": ["title"]}}},
    {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}},
                                      "return": {"type": "string", "description": "ISO"}}},
]


def conversations():
    user = {"role": "user", "content": "Translate \"good morning\" to German & French <now>."}
    system = {"role": "system", "content": "You are terse.\n"}
    answer = {"role": "assistant", "content": "Guten Morgen; bonjour."}
    thinking = {"role": "assistant", "content": "<think>\nshort\n</think>\n\n早上好"}
    reasoned = {"role": "assistant", "content": "Hi", "reasoning_content": "Let me see.", "thinking": "Let me think."}
    more = {"role": "user", "content": "  And to 中文? 🙂\nKeep it short. "}
    arguments = {"title": "Milk's", "tags": ["home", "é"], "level": 2, "deep": {"a": [1.5, None, True]}}
    call = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "add_note", "arguments": arguments}}]}
    null_call = {**call, "content": None}
    no_content = {key: value for key, value in call.items() if key != "content"}
    text_call = {"role": "assistant", "content": "I will.", "tool_calls": [
        {"id": "call00001", "type": "function", "function": {"name": "add_note", "arguments": json.dumps(arguments)}}]}
    two_calls = {"role": "assistant", "content": "", "tool_calls": call["tool_calls"] + [
        {"id": "call00002", "type": "function", "function": {"name": "now", "arguments": {}}}]}
    result = {"role": "tool", "name": "add_note", "tool_call_id": "call00001", "content": "{\"ok\": true}"}
    result_dict = {**result, "content": {"ok": True}}
    result2 = {"role": "tool", "name": "now", "tool_call_id": "call00002", "content": "12:00"}
    parts = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image"}]}
    text_parts = {"role": "user", "content": [{"type": "text", "text": "part one "}, {"type": "text", "text": "two"}]}
    developer = {"role": "developer", "content": "Obey."}
    shapes = {
        "user": [user], "system": [system, user], "turns": [system, user, answer, more], "thinking": [user, thinking, more],
        "reasoned": [user, reasoned, more], "prefill": [user, answer], "call": [user, call], "round": [system, user, call, result],
        "round2": [user, two_calls, result, result2, answer, more], "text_call": [user, text_call, result, answer],
        "null": [user, null_call, result], "absent": [user, no_content, result_dict], "parts": [parts], "text_parts": [system, text_parts],
        "developer": [developer, user], "two_users": [user, more], "assistant_first": [answer, user], "empty": [],
        "system_only": [system], "late_system": [user, system, more], "empty_content": [{"role": "user", "content": ""}],
        "odd_role": [{"role": "narrator", "content": "x"}], "no_role": [{"content": "x"}],
        "system_parts": [{"role": "system", "content": [{"type": "text", "text": "S"}]}, user], "long": [system] + [user, answer] * 6 + [more],
        "reason_call": [user, {**call, "reasoning_content": "Hm.", "reasoning": "Hm.", "thinking": "Hm."}, result, {**answer, "reasoning_content": "So."}],
    }
    extras = [
        {}, {"enable_thinking": False}, {"enable_thinking": True}, {"tools": TOOLS}, {"tools": TOOLS, "enable_thinking": False},
        {"tools": []}, {"thinking": True}, {"reasoning_effort": "high"}, {"documents": [{"title": "T", "text": "D", "doc_id": 1}]},
        {"date_string": "26 Jul 2024", "tools_in_user_message": False, "tools": TOOLS, "builtin_tools": ["python"]},
    ]
    for (name, messages), extra, prompt in itertools.product(shapes.items(), extras, [True, False]):
        yield f"{name} {json.dumps(extra)[:60]} {prompt}", {
            "messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>", **extra}


def compare(folders):
    files = sorted(path for folder in folders for path in pathlib.Path(folder).glob("*.jinja"))
    cases = [(path, name, path.read_text(), case) for path in files for name, case in conversations()]
    lines = "".join(json.dumps({"source": source, "input": case, "unix": UNIX}) + "\n" for _, _, source, case in cases)
    command = ["cargo", "run", "-q", "-p", "inkling-text", "--example", "render_cases"]
    ours = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    environment_of = {}
    different = {}
    agree = errors = 0
    for (path, name, source, case), answer in zip(cases, map(json.loads, ours.splitlines()), strict=True):
        if path not in environment_of:
            try:
                environment_of[path] = environment().from_string(source)
            except Exception as error:
                environment_of[path] = error
        template = environment_of[path]
        try:
            if isinstance(template, Exception):
                raise template
            wanted = {"output": template.render(**{"tools": None, "documents": None, **case})}
        except Exception as error:
            wanted = {"error": f"{type(error).__name__}: {error}"}
        if answer.get("output") == wanted.get("output") and ("error" in answer) == ("error" in wanted):
            agree += 1
            errors += "error" in wanted
        else:
            different.setdefault(path.name, []).append((name, answer, wanted))
    print(f"{len(files)} templates, {len(cases)} renderings, {agree} agree ({errors} of them errors in both)")
    for file, cases in different.items():
        name, answer, wanted = cases[0]
        print(f"{file}: {len(cases)} differ, first {name}\n  ours   {str(answer)[-300:]}\n  jinja2 {str(wanted)[-300:]}")
    return bool(different)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write"]:
            write()
        case ["compare", *folders] if folders:
            sys.exit(compare(folders))
        case _:
            sys.exit(__doc__)
