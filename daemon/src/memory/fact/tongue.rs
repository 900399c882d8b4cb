//! Standing rules in languages other than English that part words by spaces.
//!
//! Few forms, each of which leaves no other reading: a word such as `immer` or `siempre` alone says nothing, since things fail
//! `immer noch` and `siempre`. What counts is an order or the word of somebody who speaks of what they like.

use crate::memory::fact::clause::Clause;

/// How a rule begins, whether it is wanted, and whether a thing may follow.
#[rustfmt::skip]
const SAID: &[(&str, bool)] = &[
    ("bitte immer ", true), ("bitte nie ", false), ("bitte niemals ", false), ("bitte nur ", true), ("bitte nur noch ", true),
    ("ab jetzt immer ", true), ("ab jetzt nie ", false), ("ab jetzt nur noch ", true), ("ab jetzt bitte ", true), ("ab jetzt ", true),
    ("ab sofort immer ", true), ("ab sofort nur noch ", true), ("ab sofort bitte ", true), ("ab sofort ", true), ("von nun an ", true),
    ("in zukunft bitte ", true), ("in zukunft immer ", true), ("künftig bitte ", true), ("künftig immer ", true),
    ("ich bevorzuge ", true), ("ich mag lieber ", true), ("ich hätte lieber ", true), ("ich hasse ", false), ("ich möchte immer ", true),
    ("ich möchte nie ", false), ("ich will immer ", true), ("ich will nie ", false), ("wir verwenden immer ", true), ("wir nutzen immer ", true),
    ("wir verwenden nie ", false), ("wir nutzen nie ", false),
    ("à partir de maintenant ", true), ("à partir de maintenant, ", true), ("dorénavant ", true), ("désormais ", true), ("je préfère ", true),
    ("je déteste ", false), ("je veux toujours ", true), ("je ne veux jamais ", false), ("on utilise toujours ", true), ("nous utilisons toujours ", true),
    ("toujours utiliser ", true), ("ne jamais ", false), ("jamais de ", false), ("jamais d'", false), ("toujours ", true),
    ("a partir de ahora ", true), ("de ahora en adelante ", true), ("desde ahora ", true), ("prefiero ", true), ("odio ", false),
    ("quiero siempre ", true), ("siempre quiero ", true), ("nunca quiero ", false), ("usamos siempre ", true), ("siempre usamos ", true),
    ("a partir de agora ", true), ("daqui em diante ", true), ("prefiro ", true), ("odeio ", false), ("quero sempre ", true), ("sempre quero ", true),
    ("d'ora in poi ", true), ("da ora in poi ", true), ("preferisco ", true), ("odio il ", false), ("voglio sempre ", true),
    ("vanaf nu ", true), ("voortaan ", true), ("ik heb liever ", true), ("ik wil altijd ", true), ("ik wil nooit ", false),
    ("od teraz ", true), ("wolę ", true), ("nigdy nie ", false), ("zawsze ", true),
];

/// Orders, with the words that make them rules: `lance toujours`, `schreib … immer`.
#[rustfmt::skip]
const ORDERS: &[(&str, &[&str], &[&str])] = &[
    (
        "schreib schreibe nutze nutz verwende benutze benutz lass mach mache führe halte antworte frag frage teste committe pushe nimm zeig",
        &["immer", "stets", "grundsätzlich"], &["nie", "niemals", "nicht mehr"],
    ),
    (
        "lance utilise écris mets réponds fais ajoute garde teste vérifie demande évite nomme explique documente montre",
        &["toujours", "systématiquement"], &["jamais"],
    ),
    (
        "usa ejecuta escribe responde haz añade agrega pregunta mantén corre prueba explica documenta muestra usad",
        &["siempre"], &["nunca", "jamás"],
    ),
    ("usa use usem escreve escreva responde responda faz faça roda rode executa execute adiciona adicione mantém mantenha", &["sempre"], &["nunca", "jamais"]),
    ("usa scrivi rispondi fai aggiungi esegui lancia mantieni mostra", &["sempre"], &["mai"]),
    ("gebruik schrijf antwoord doe voeg houd draai test", &["altijd"], &["nooit"]),
];

/// How an order not to do something begins where the word for `never` comes later.
const NOT: &[&str] = &["n'", "ne ", "non ", "não "];

/// The rules of a lower-case sentence.
pub(super) fn clauses(sentence: &str) -> Vec<Clause> {
    let text = sentence.trim_start_matches("bitte, ");
    let text = text.trim_start_matches("s'il te plaît, ").trim_start_matches("stp ");
    let found = SAID.iter().filter_map(|(lead, positive)| Some((text.strip_prefix(lead)?, *positive)));
    if let Some((order, positive)) = found.min_by_key(|(order, _)| order.len()) {
        let (order, positive) = inner(order, positive);
        return vec![Clause { order: cut(order).to_owned(), condition: String::new(), positive, bare: true }];
    }
    always(text).or_else(|| infinitive(text)).or_else(|| ordered(text)).into_iter().collect()
}

/// `siempre usa X`: only before an order, as things too fail `siempre`.
fn always(text: &str) -> Option<Clause> {
    let text = ["debes ", "tienes que "].iter().find_map(|subject| text.strip_prefix(subject)).unwrap_or(text);
    let (order, positive) = [("siempre ", true), ("nunca ", false)]
        .into_iter()
        .find_map(|(mark, positive)| Some((text.strip_prefix(mark)?, positive)))?;
    Some(Clause { order: order.to_owned(), condition: String::new(), positive, bare: false })
}

/// `… responde siempre en español`: the word may stand within the order once more.
fn inner(order: &str, positive: bool) -> (&str, bool) {
    for (mark, wanted) in [
        ("immer ", true),
        ("nie ", false),
        ("toujours ", true),
        ("siempre ", true),
        ("nunca ", false),
        ("sempre ", true),
    ] {
        if let Some(rest) = order.strip_prefix(mark) {
            return (rest, positive == wanted);
        }
    }
    (order, positive)
}

/// What is chosen, without what it takes the place of.
fn cut(order: &str) -> &str {
    [
        " statt ",
        " anstatt ",
        " au lieu de ",
        " en vez de ",
        " em vez de ",
        " invece di ",
        " in plaats van ",
        " plutôt que ",
        " als ",
    ]
    .iter()
    .filter_map(|mark| order.split_once(mark))
    .map(|(order, _)| order)
    .min_by_key(|order| order.len())
    .unwrap_or(order)
}

/// `niemals direkt auf main pushen`: German orders by infinitives.
fn infinitive(text: &str) -> Option<Clause> {
    let (order, positive) = [("niemals ", false), ("nie ", false), ("immer ", true)]
        .into_iter()
        .find_map(|(mark, positive)| Some((text.strip_prefix(mark)?, positive)))?;
    let last = order.split(' ').next_back().unwrap_or_default();
    let count = order.split(' ').count();
    ((2..=8).contains(&count) && last.ends_with('n') && last.len() >= 4 && !order.starts_with("noch "))
        .then(|| Clause { order: order.to_owned(), condition: String::new(), positive, bare: true })
}

fn ordered(text: &str) -> Option<Clause> {
    let (text, denied) = NOT.iter().find_map(|not| text.strip_prefix(not)).map_or((text, false), |rest| (rest, true));
    let (verb, rest) = text.split_once(' ')?;
    ORDERS.iter().find_map(|(verbs, always, never)| {
        let known = verbs.split(' ').any(|known| known == verb) || denied && verb.len() >= 4;
        let has = |marks: &[&'static str]| {
            marks.iter().find(|mark| format!(" {rest} ").contains(&format!(" {mark} "))).copied()
        };
        let mark =
            has(never).map(|mark| (mark, false)).or_else(|| has(always).filter(|_| !denied).map(|mark| (mark, true)));
        let (mark, positive) = mark.filter(|_| known)?;
        let order = format!(" {rest} ").replacen(&format!(" {mark} "), " ", 1);
        let order = cut(order.trim()).to_owned();
        (order.split(' ').count() <= 8).then_some(Clause { order, condition: String::new(), positive, bare: true })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_what_only_sounds_like_one() {
        let table = [
            ("schreib die tests immer zuerst", Some(("die tests zuerst", true))),
            ("ab jetzt immer pnpm statt npm", Some(("pnpm", true))),
            ("niemals direkt auf main pushen", Some(("direkt auf main pushen", false))),
            ("n'utilise jamais de variables globales", Some(("de variables globales", false))),
            ("je préfère des commits courts", Some(("des commits courts", true))),
            ("ejecuta siempre las pruebas antes de terminar", Some(("las pruebas antes de terminar", true))),
            ("non usare mai var in javascript", Some(("var in javascript", false))),
            ("das geht immer noch nicht", None),
            ("immer noch kaputt", None),
            ("ça ne marche jamais", None),
        ];
        for (text, expected) in table {
            let found = clauses(text);
            let found = found.first().map(|clause| (clause.order.as_str(), clause.positive));
            assert_eq!(found, expected, "{text:?}");
        }
        assert!(!clauses("siempre falla")[0].bare, "no order, and so no rule");
    }
}
