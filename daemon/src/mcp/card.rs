//! The server card at `/.well-known/mcp/server-card.json`: what a registry shows of this server without calling it.

use serde_json::{Value, json};

use super::{INSTRUCTIONS, tools};

/// The card: who this is, how it is reached, and every tool as `tools/list` shows it.
#[must_use]
pub fn card() -> Value {
    json!({
        "serverInfo": {"name": "clone", "title": "Clone", "version": env!("CARGO_PKG_VERSION")},
        "description": "Predicts what the person would reply to an agent, from their own history on their own machine.",
        "instructions": INSTRUCTIONS,
        "transport": {"type": "streamable-http", "endpoint": "/mcp"},
        "capabilities": {"tools": {}},
        "authentication": {"required": true, "schemes": ["bearer", "apiKey"], "apiKeyHeader": "X-Clone-API-Key"},
        "tools": tools::list(),
        "resources": [],
        "prompts": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_shows_every_tool_and_how_to_come_in() {
        let card = card();
        assert_eq!(card["tools"].as_array().map(Vec::len), Some(tools::list().len()));
        assert_eq!((&card["serverInfo"]["name"], &card["transport"]["endpoint"]), (&json!("clone"), &json!("/mcp")));
        assert!(card["tools"][0]["inputSchema"].is_object() && card["authentication"]["required"] == true);
    }
}
