//! Standing rules in Chinese, Japanese and Korean, which part no words by spaces.
//!
//! Tested with the other languages in [`cue`](super::cue).

use clone_schema::id::normal;

use crate::memory::fact::cue::{Cue, Force};
use crate::memory::fact::guard::Place;

/// Chinese, Japanese and Korean: a word for always or from now on, and the form of a request.
pub(super) fn wide(text: &str) -> Option<Cue> {
    const WIDE: &[(&[&str], &[&str], bool)] = &[
        (&["以后", "今后", "从现在开始", "從現在開始", "以後"], &["不要", "别", "不用", "不准"], false),
        (&["永远不要", "千万不要", "绝对不要", "永遠不要"], &[""], false),
        (&["以后请", "以后都", "以后每次", "今后请", "今后都", "从现在开始", "從現在開始", "以後請"], &[""], true),
        (&["请总是", "总是用", "一律", "务必每次", "每次都要", "請總是"], &[""], true),
        (&["今後は", "これからは", "以降は", "二度と", "決して", "絶対に"], &["ないで", "しないこと", "禁止"], false),
        (
            &["今後は", "これからは", "いつも", "常に", "必ず"],
            &["てください", "でください", "すること", "するように"],
            true,
        ),
        (&["앞으로는", "앞으로 절대", "절대", "다시는"], &["하지 마", "하지마", "지 마", "지마", "말아"], false),
        (&["앞으로는", "앞으로 항상", "항상", "언제나"], &["해줘", "해 줘", "하세요", "주세요", "하도록"], true),
    ];
    // How the product should look or behave is no rule for an agent.
    const PRODUCT: &[&str] = &[
        "显示",
        "顯示",
        "表示",
        "보이",
        "표시",
        "用户",
        "ユーザー",
        "사용자",
        "按钮",
        "ボタン",
        "버튼",
        "画面",
        "页面",
    ];
    if PRODUCT.iter().any(|word| text.contains(word)) {
        return None;
    }
    if text.chars().count() < 5 || ["吗", "か。", "까"].iter().any(|mark| text.ends_with(mark)) {
        return None;
    }
    let (_, _, positive) = WIDE.iter().find(|(leads, forms, _)| {
        // The request must stand behind the word for always.
        let behind = leads.iter().filter_map(|lead| text.split_once(lead)).map(|(_, behind)| behind);
        behind.into_iter().any(|behind| forms.iter().any(|form| behind.contains(form)))
    })?;
    let value = normal(text);
    let scoped = ["这个项目", "このプロジェクト", "이 프로젝트"].iter().any(|name| text.contains(name));
    Some(Cue {
        kind: "preference",
        attribute: "practice".to_owned(),
        value,
        positive: *positive,
        single: false,
        place: if scoped { Place::Here } else { Place::Anywhere },
        force: Force::Standing,
        retires: None,
        text: text.to_owned(),
    })
}
