//! What a template is rendered with: messages, tools and switches, as in a request to transformers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// The input of a rendering. Its JSON form is the CASE of `inkling render`.
///
/// As in transformers, `tools` and `documents` that are not given are `None` to the template, every other key that is
/// not given is undefined, and keys that are not named here are passed through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TemplateInput {
    /// The conversation: objects with `role` and `content`, and whatever else the template reads.
    pub messages: Vec<Json>,
    /// Descriptions of functions that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Json>,
    /// Whether to end with the opening of the assistant's turn.
    #[serde(default)]
    pub add_generation_prompt: bool,
    /// Whether the model shall think before it answers; `None` leaves it to the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_thinking: Option<bool>,
    /// The text of the begin-of-sequence token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token: Option<String>,
    /// The text of the end-of-sequence token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token: Option<String>,
    /// Every other variable.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

impl TemplateInput {
    /// An input that asks for an answer to `messages`.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            messages: messages.into_iter().map(Json::from).collect(),
            add_generation_prompt: true,
            ..Self::default()
        }
    }

    /// The value of a variable; `None` where it is undefined.
    pub(super) fn variable(&self, name: &str) -> Option<Json> {
        let text = |value: &Option<String>| value.clone().map(Json::String);
        match name {
            "messages" => Some(Json::Array(self.messages.clone())),
            "tools" => Some(self.tools.clone().unwrap_or(Json::Null)),
            "add_generation_prompt" => Some(Json::Bool(self.add_generation_prompt)),
            "enable_thinking" => self.enable_thinking.map(Json::Bool),
            "bos_token" => text(&self.bos_token),
            "eos_token" => text(&self.eos_token),
            _ => match (self.extra.get(name), name) {
                (Some(value), _) => Some(value.clone()),
                (None, "documents") => Some(Json::Null),
                (None, _) => None,
            },
        }
    }

    /// Every string of the input.
    pub(super) fn strings(&self) -> Vec<&str> {
        let mut strings = Vec::new();
        self.messages.iter().chain(&self.tools).chain(self.extra.values()).for_each(|json| collect(json, &mut strings));
        strings.extend(self.bos_token.as_deref().into_iter().chain(self.eos_token.as_deref()));
        strings
    }

    /// How large the input is: its text, and something for every value.
    pub(super) fn bytes(&self) -> u64 {
        self.messages.iter().chain(&self.tools).chain(self.extra.values()).map(weight).sum()
    }
}

fn collect<'j>(json: &'j Json, strings: &mut Vec<&'j str>) {
    match json {
        Json::String(text) => strings.push(text),
        Json::Array(items) => items.iter().for_each(|item| collect(item, strings)),
        Json::Object(entries) => {
            for (key, value) in entries {
                strings.push(key);
                collect(value, strings);
            }
        }
        _ => {}
    }
}

fn weight(json: &Json) -> u64 {
    32 + match json {
        Json::String(text) => text.len() as u64,
        Json::Array(items) => items.iter().map(weight).sum(),
        Json::Object(entries) => entries.iter().map(|(key, value)| 64 + key.len() as u64 + weight(value)).sum(),
        _ => 0,
    }
}

/// One message, for those who do not write JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message with any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }

    /// Instructions of the app.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }

    /// What the user typed.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// What the model answered.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }
}

impl From<Message> for Json {
    fn from(message: Message) -> Json {
        json!({ "role": message.role, "content": message.content })
    }
}
