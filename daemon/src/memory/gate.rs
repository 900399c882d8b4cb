//! What is never taken for granted: sensitive claims, claims that permit an action, claims against something strong.
//!
//! Such a claim waits for the person. The words are read with the senses that developers give them taken out first:
//! `health check`, `orphan process`, `kill the child`, `race condition`.

use std::collections::HashMap;
use std::sync::OnceLock;

use clone_schema::id::{digest, normal};
use clone_schema::memory::{Fact, Status};

use super::words::Phrases;

/// Why a claim waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is of a sensitive category.
    Sensitive(&'static str),
    /// It would permit an agent to do something that cannot be taken back.
    Action,
    /// It took the place of something strong.
    Contradiction,
}

impl Reason {
    /// The words in a fact's `gate`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Sensitive(category) => format!("sensitive: {category}"),
            Self::Action => "action".to_owned(),
            Self::Contradiction => "contradiction".to_owned(),
        }
    }

    /// Whether the claim is out of use until the person decides.
    #[must_use]
    pub fn holds(self) -> bool {
        self != Self::Contradiction
    }
}

/// The id of the gate of a fact: letters, digits and hyphens, so that a line of a note can carry it.
#[must_use]
pub fn gate_id(fact: &Fact) -> String {
    let claim = &fact.claim;
    let parts = [claim.kind.as_str(), &claim.subject, &claim.attribute, &claim.scope, &claim.value, &claim.polarity];
    format!("gate-{}", digest(&parts, 10))
}

/// Why a fact that nobody decided about waits; nothing where it may be used.
#[must_use]
pub fn reason(fact: &Fact) -> Option<Reason> {
    let text = format!("{} {} {}", fact.text, fact.claim.attribute, fact.claim.value);
    let secret = (fact.claim.attribute == "home").then_some("location");
    sensitive(&text)
        .or(secret)
        .map(Reason::Sensitive)
        .or_else(|| grounds_action(fact).then_some(Reason::Action))
        .or_else(|| (fact.gate.as_deref() == Some("contradiction")).then_some(Reason::Contradiction))
}

/// Holds a fact that waits, or lets it through.
#[must_use]
pub fn gated(mut fact: Fact) -> Fact {
    let Some(reason) = reason(&fact) else { return fact };
    fact.gate = Some(reason.name());
    if reason.holds() && fact.status == Status::Active {
        fact.status = Status::Pending;
    }
    fact
}

/// Senses of words that say nothing about a person; taken out before anything is looked for.
#[rustfmt::skip]
const JARGON: &[&str] = &[
    "health check", "health checks", "healthcheck", "healthchecks", "health endpoint", "health probe", "health status", "healthy", "unhealthy", "health of the service",
    "service health", "cluster health", "system health", "code health", "health route", "health page", "health monitor", "health dashboard",
    "orphan process", "orphan processes", "orphan branch", "orphan file", "orphan files", "orphan record", "orphan records", "orphan row", "orphan rows", "orphaned", "orphan container",
    "kill child", "kill the child", "child process", "child processes", "child node", "child nodes", "child component", "child components", "child element", "child elements",
    "child class", "child classes", "children prop", "child theme", "child table", "child row", "child thread", "child module", "children nodes", "child workflow", "parent and child", "children components",
    "parent process", "parent class", "parent component", "parent directory", "parent folder", "parent node", "parent element", "parent commit", "parent branch", "parent task", "parent table", "parent module",
    "parent container", "parent row", "parent theme", "parent pom", "family of fonts", "font family", "font families", "family of functions", "column family", "instance family", "type family",
    "master branch", "master node", "master key", "master password field", "master data", "master slave", "dead letter", "dead letter queue", "dead code", "deadlock", "dead lock", "dead link", "dead links",
    "race condition", "race conditions", "data race", "data races", "race detector", "race flag", "sick beat", "virus scan", "virus scanner", "antivirus", "viral", "immune to", "race to",
    "execution", "executor", "abort the", "abort signal", "abort controller", "abortcontroller", "abort on", "aborted", "aborts", "birth and death of", "pregnant pause",
    "load balance", "load balancer", "load balancing", "balance sheet widget", "balanced tree", "balance factor", "rebalance", "binary tree balance", "account balance endpoint", "credit assignment",
    "token bucket", "access token refresh", "refresh token", "token count", "token budget", "token limit", "tokens per", "tokenizer", "max tokens", "csrf token", "token usage", "input tokens", "output tokens", "design token", "design tokens",
    "technical debt", "tech debt", "password field", "password input", "password reset", "reset password", "password page", "password form", "password hash", "password hashing", "hash passwords", "password validation",
    "password manager", "password policy", "forgot password", "change password", "secret manager", "secrets manager", "secret scanning", "credentials page", "credentials provider", "passwords in logs", "log passwords", "store passwords",
    "key value", "primary key", "foreign key", "api key header", "sort key", "partition key", "private method", "private methods", "private key path", "private repo", "private field", "private fields",
    "party library", "third party", "3rd party", "political map", "election algorithm", "leader election", "elections in raft", "vote request", "voting algorithm", "quorum vote", "upvote", "downvote", "party code", "party cookies",
    "religiously", "gospel", "bible of", "holy grail", "the holy", "evangelist", "cargo cult", "zen of python", "god object", "god class", "monastery", "daemon", "sacred", "dogma", "pray",
    "sex column", "gender field", "gender column", "gender neutral", "gender dropdown", "sexy", "sql injection", "dependency injection", "inject", "injection", "injected", "code smell", "smoke test", "smoke tests",
    "heart beat", "heartbeat", "heartbeats", "brain dump", "memory leak", "memory pressure", "out of memory", "headache", "headaches", "painful", "pain point", "pain points", "pain to", "bleeding edge", "bleed",
    "nuclear option", "disabled button", "disabled state", "disabled", "disable", "accessibility", "blind spot", "color blind mode", "colour blind mode", "blind test", "double blind", "screen reader", "deaf ears", "crippled",
    "sanity check", "sanity checks", "sanity test", "sane", "insane", "crazy", "dumb", "stress test", "stress tests", "stress testing", "stress ng", "load test", "anxiety driven", "depressed button", "depression of the key", "panic", "panics",
    "doctor command", "clone doctor", "brew doctor", "flutter doctor", "doctor output", "medical app", "medical api", "medical records app", "patient table", "patient model", "patients table", "prescription model", "diagnosis code", "diagnostics", "diagnose the",
    "diagnose this", "diagnose why", "diagnosed the bug", "diagnosed it", "therapy app", "surgery on", "surgical", "operation", "hospital app", "symptom of", "symptoms of the bug", "cure for", "injury table", "treatment group", "treat it", "treat this", "treats",
    "virtual address", "ip address", "ip addresses", "email address", "mac address", "memory address", "address bar", "address space", "bind address", "address field", "address form", "address this", "address the", "addresses the", "address table", "address component",
    "house style", "house rule", "house rules", "gradient descent", "recursive descent", "genetic algorithm", "genetic algorithms", "home directory", "home folder", "home page", "homepage", "home screen", "home route", "home button", "home row", "home dir", "location header", "location field", "geolocation api", "file location", "location of the", "location block", "location component",
    "bank holiday", "data bank", "bank api", "bank account model", "salary column", "salary field", "salary table", "payment service", "payment api", "payments api", "payment gateway", "payment form", "payment provider", "payment intent", "payment table", "invoice table",
    "invoice pdf", "invoice template", "invoice model", "credit card form", "credit card field", "credit card input", "credit card validation", "card component", "income column", "tax field", "tax column", "tax rate column", "loan table", "mortgage calculator",
    "marriage of", "marry the", "divorced from", "divorce the", "wedding app", "wedding of", "partner api", "partner portal", "partner program", "partner table", "partners page", "native", "native app", "react native", "race track", "ethnic", "black formatter", "whitelist", "blacklist", "white space", "whitespace",
    "white box", "black box", "white label", "union type", "union types", "union find", "union all", "union query", "sql union", "discriminated union", "tagged union", "union of", "strike through", "strikethrough", "labor intensive", "trigger warning", "kill switch", "kill the process", "kill the server",
    "suicide burn", "die hard", "hanging", "hang", "hangs", "starvation", "zombie process", "zombie processes", "zombie", "garbage", "poison pill", "poison message", "trauma of", "addiction of", "drug table", "drug database", "drug names", "alcohol content", "weight column", "weight of", "font weight", "model weights",
    "weights", "weighted", "weight decay", "temperature", "blood type field", "legal advice app", "legal values", "legal value", "legal move", "legal moves", "illegal state", "illegal argument", "illegal access", "legally valid json", "court table", "lawsuit table", "license file", "license header", "mit license", "police",
    "conviction", "sentence", "sentences", "jail", "jailbreak", "chroot jail", "immigration service", "visa payments", "visa card test", "passport js", "passportjs", "passport middleware", "citizen developer", "first class citizen", "first class citizens", "social security field", "ssn field", "ssn column", "fingerprint",
    "fingerprints", "browser fingerprint", "face detection", "biometric login", "biometric prompt", "retina", "retina display", "gay app", "transition", "transitions", "transgenic", "trans compile", "transpile", "queer theory", "straight forward", "straightforward", "orientation", "screen orientation", "sibling", "siblings", "sister project",
    "brother printer", "mother board", "motherboard", "fatherless", "grandparent", "ancestor", "twin", "digital twin", "bachelor", "engagement metric", "engagement", "affair", "dating app", "date picker", "relationship", "relationships", "relational", "entity relationship", "foster", "adopt", "adopted", "adoption", "heir", "inherit", "inheritance", "inherits",
];

/// Categories and the words that tell them; a word with a `*` stands for every longer one, and one behind a `~`, which developers
/// use of software as well, counts only where it is somebody's.
#[rustfmt::skip]
const WORDS: &[(&str, &str)] = &[
    ("health", "diabet* cancer* tumor* tumour* depress* anxiety adhd autis* bipolar schizophren* epilep* asthma* allerg* hiv aids migraine* insomnia dyslex* dyspraxi* therap* therapist psychiatr* psycholog* antidepress* \
        medication* medicine* insulin chemo* surgery hospital* diagnos* disease* illness* pregnan* miscarr* ivf infertil* menopaus* arthritis chronic* disabilit* wheelchair ~blind ~deaf addict* alcoholi* sober sobriety rehab* overdos* \
        suicid* ptsd ~trauma* anorexi* bulimi* eating-disorder burnout ~symptom* prescription* prescribed vaccin* covid ~stroke seizure* dementia alzheimer* parkinson* celiac coeliac crohn* fibromyalgia lupus thyroid hypertension cholesterol* \
        blood-pressure blood-type doctor's my-doctor health medical panic-attack panic-attacks sick-leave mental-health heart-attack heart-condition bad-back carpal rsi tinnitus obes* dialysis transplant* sclerosis hepatitis herpes sti krank* enfermedad maladie \
        ritalin prozac adderall lithium xanax zoloft sertraline metformin dyscalculia tourette* ocd ulcer* hernia pacemaker hearing-aid colour-blind color-blind colourblind colorblind antihistamine* inhaler physio* chemotherapy"),
    ("religion", "christian* catholic* protestant* muslim* islam* jewish judaism jew hindu* buddhis* sikh* mormon* atheis* agnosti* church* mosque* synagogue* ramadan sabbath shabbat baptis* baptiz* pray praying prayer* quran koran bible torah lent religio* faith \
        kosher halal hijab diwali yom-kippur passover eid orthodox evangelical quaker* jehovah* lutheran* pagan* wicca* vegan-for-religious pastor priest imam rabbi convert-to parish mass-on-sunday scientolog*"),
    ("politics", "democrat* republican* socialis* communis* ~conservative* labour-party tory tories voted vote-for voting-for political politic* election* campaign-for activist* protest* union-member trade-union labor-union shop-steward left-wing right-wing ~liberal libertarian* \
        anarchist* fascis* brexit trump biden marxis* green-party party-member nationalist* referendum* abortion* gun-control pro-life pro-choice feminis* strike-vote unionise unionize senator* congressman ballot*"),
    ("sexuality", "gay lesbian* bisexual* queer transgender trans transsexual* homosexual* heterosexual* asexual* pansexual* nonbinary non-binary lgbt* closeted sexual* sexuality sex gender-identity boyfriend* girlfriend* porn* fetish* came-out coming-out polyamor* hookup* tinder grindr \
        libido erect* viagra contracepti* hormone* hrt pronouns nudes drag-queen intersex"),
    ("finances", "salary salaries income debt* mortgage* loan* bankrupt* credit-score credit-card credit-limit ~savings pension* 401k inheritance my-bank bank-account iban overdraft* net-worth investment* investing invested stock-options taxes tax-return tax-evasion owe owes owed alimony rent-arrears paycheck* payslip* \
        earn earning earns bonus gambl* i'm-broke am-broke going-broke bank-balance portfolio-worth dividend* shares-in foreclosure* severance garnish* wage wages lottery crypto-holdings bitcoin-holdings routing-number sort-code brokerage payday"),
    ("credentials", "~password* ~passphrase* passcode* my-pin pin-number ~api-key ~api-token ~access-token ~secret-key ~private-key ~ssh-key seed-phrase recovery-code* recovery-phrase 2fa-code my-otp login-details ~credentials social-security ssn passport-number passport licence-number license-number mother's-maiden security-answer \
        cvv keychain-password ~bearer-token ~auth-token master-password pin-code door-code alarm-code backup-codes national-insurance security-question"),
    ("location", "i-live my-address home-address my-house my-apartment my-flat my-street postcode postal-code zip-code my-neighbourhood my-neighborhood moved-to-berlin living-in i-am-based i'm-based lives-at live-at stay-at staying-at gps-coordinates where-i-live my-home my-school street-address hotel-room \
        my-gym my-commute our-house our-apartment our-flat my-hometown"),
    ("legal", "lawsuit* sued suing lawyer* attorney* ~court convicted conviction* felony felon misdemeanor* arrest* probation* prison restraining-order custody immigration asylum deport* undocumented green-card visa ~criminal* nda non-compete parole subpoena* indict* ~plea settlement* litigation dui \
        police-record work-permit citizenship expunge* ~bail plaintiff defendant legal-trouble"),
    ("family", "wife husband spouse married divorc* marriage wedding son daughter ~kids ~kid ~children ~child ~baby mother father mom mum dad brother sister sibling* parents grandmother grandfather grandma grandpa aunt uncle cousin niece nephew fiance* fiancé* stepson stepdaughter stepmother stepfather \
        in-laws mother-in-law father-in-law widow* adopted-child nursery kindergarten my-family ~family custody-battle toddler newborn separated-from ex-wife ex-husband engaged-to girlfriend's boyfriend's pregnant godson goddaughter ~twins maternity paternity partner's"),
    ("ethnicity", "ethnicity ethnic hispanic latino latina african-american asian-american arab roma gypsy indigenous native-american aboriginal caucasian mixed-race biracial my-race skin-colour skin-color refugee* immigrant* jewish-descent ~descent ~heritage ~ancestry"),
    ("biometrics", "my-fingerprint my-fingerprints face-id-data dna genome genetic-test 23andme iris-scan voiceprint my-dna retina-scan ~genetic*"),
];

/// What a word tells: a place in [`WORDS`], and whether only where it is somebody's.
type Tells = (usize, bool);

/// Everything that is looked for in a claim, so that it is read once.
struct Patterns {
    /// Senses that say nothing, by their place in the list.
    jargon: Phrases<usize>,
    /// Whole words, and by their place in the list what they tell of.
    words: Phrases<Tells>,
    /// Beginnings of words, and the same.
    stems: HashMap<String, Tells>,
    /// The most bytes of such a beginning.
    longest: usize,
}

impl Patterns {
    fn shared() -> &'static Self {
        static PATTERNS: OnceLock<Patterns> = OnceLock::new();
        PATTERNS.get_or_init(|| {
            let all = || {
                let lists = WORDS.iter().enumerate();
                lists.flat_map(|(list, (_, words))| {
                    words
                        .split_whitespace()
                        .map(move |word| (word.trim_start_matches('~'), (list, word.starts_with('~'))))
                })
            };
            let spaced = |word: &str| word.replace('-', " ");
            let mut stems = HashMap::new();
            for (word, list) in all() {
                if let Some(stem) = word.strip_suffix('*') {
                    // Of two that begin alike the one that always counts.
                    let known = stems.entry(spaced(stem)).or_insert(list);
                    *known = if known.1 { list } else { *known };
                }
            }
            Self {
                jargon: Phrases::new(JARGON.iter().enumerate().map(|(sense, words)| (*words, sense))),
                words: Phrases::new(all().filter(|(word, _)| !word.ends_with('*')).map(|(w, list)| (spaced(w), list))),
                longest: stems.keys().map(String::len).max().unwrap_or_default(),
                stems,
            }
        })
    }

    /// The text with a mark in the place of each sense that says nothing; of two that overlap, of the one listed first.
    fn without_jargon(&self, text: &str) -> String {
        let mut senses: Vec<_> =
            self.jargon.find(text).map(|(at, words, sense)| (sense, at, at + words.len())).collect();
        senses.sort_unstable();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (_, from, to) in senses {
            if taken.iter().all(|(start, end)| to <= *start || from >= *end) {
                taken.push((from, to));
            }
        }
        taken.sort_unstable();
        let (mut out, mut end) = (String::with_capacity(text.len()), 0);
        for (from, to) in taken {
            out.push_str(&text[end..from]);
            out.push('~');
            end = to;
        }
        out.push_str(&text[end..]);
        out
    }

    /// The lists that have a beginning of what stands at the start of a text.
    fn begun<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Tells> + 'a {
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= self.longest);
        ends.filter_map(|end| self.stems.get(&text[..end]).copied())
    }
}

/// The sensitive category of a text, of several the one that is listed first; nothing where it speaks of software only.
#[must_use]
pub fn sensitive(text: &str) -> Option<&'static str> {
    let patterns = Patterns::shared();
    let text = patterns.without_jargon(&plain(text));
    let starts = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
    let begun = starts.flat_map(|at| patterns.begun(&text[at..]).map(move |tells| (at, tells)));
    let found = patterns.words.find(&text).map(|(at, _, tells)| (at, tells)).chain(begun);
    let list = found
        .filter(|(at, (list, weak))| !weak || is_somebodys(&text, *at, WORDS[*list].0))
        .map(|(_, (list, _))| list)
        .min()?;
    Some(WORDS[list].0)
}

/// Whether what stands at a place of a text is somebody's: `my X`, `has two X`; a secret also where it is told: `the X is …`.
fn is_somebodys(text: &str, at: usize, category: &str) -> bool {
    #[rustfmt::skip]
    const OWNERS: &[&str] =
        &["my", "our", "his", "her", "their", "mine", "i'm", "am", "i've", "have", "had", "got", "having", "expecting"];
    const NEAR: usize = 3;
    let owned = text[..at].rsplit(' ').filter(|word| !word.is_empty()).take(NEAR).any(|word| OWNERS.contains(&word));
    let told = || {
        category == "credentials"
            && text[at..].split(' ').skip(1).take(3).any(|word| matches!(word, "is" | "are" | "was"))
    };
    owned || told()
}

/// A text in lower case, its words parted by one space; an apostrophe belongs to its word.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace(['’', '‘'], "'");
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Deeds that cannot be taken back.
#[rustfmt::skip]
const DEEDS: &[&str] = &[
    "deploy", "deploys", "deploying", "release", "publish", "publishing", "pay", "paying", "purchase", "buy", "place orders", "place the order", "order from", "transfer", "delete", "deleting", "drop the", "drop tables", "wipe", "force push",
    "force pushing", "push to main", "push to master", "push to prod", "push to production", "push straight to", "push directly", "merge", "merging", "auto merge", "automerge", "rm rf", "reset hard", "send emails", "send the email",
    "email customers", "email the", "send money", "refund", "ship it", "ship to production", "rollback production", "run migrations on production", "run migrations in production", "terraform apply", "apply to production",
    "skip review", "skip the review", "skip permissions", "approve", "approving", "sign off", "tweet", "post to", "overwrite production", "shut down", "terminate", "rotate keys", "revoke", "cancel the subscription", "invoice",
    "accept all", "yes to all", "run anything", "any command", "without asking", "without confirmation", "without my approval", "no need to ask", "don t ask before", "don t ask me before", "without checking with me", "without permission",
    "you may", "you can always", "you are allowed", "you re allowed", "auto approve", "auto accept",
];

/// Words that hold back rather than permit.
#[rustfmt::skip]
const HOLDS_BACK: &[&str] = &[
    "ask before", "ask me before", "ask first", "never", "don t", "do not", "confirm before", "confirm with me", "wait for my", "only after i", "check with me", "unless i", "before you deploy", "before deploying", "before every deploy", "before merging",
    "before you merge", "before releasing", "before each release", "before publishing", "before every release", "before any deploy", "before pushing", "before deleting", "before you delete", "before you push",
    "require my", "needs my", "get my approval", "delete branches after", "after merging", "after every deploy",
];

/// Whether a claim would permit a deed: a positive rule or habit about one that does not hold it back.
fn grounds_action(fact: &Fact) -> bool {
    let told = matches!(fact.claim.kind.as_str(), "preference" | "habit") && fact.claim.attribute != "asks for";
    let text = format!(" {} ", normal(&fact.text));
    let has = |words: &[&str]| words.iter().any(|word| text.contains(&format!(" {word} ")));
    // `never ask before …` permits as well.
    let unasked = has(&[
        "never ask",
        "don t ask",
        "no need to ask",
        "stop asking",
        "without asking",
        "without confirmation",
        "without my approval",
    ]);
    let positive = fact.claim.polarity == "+";
    let permits = if unasked { positive || text.contains(" ask ") } else { positive && !has(HOLDS_BACK) };
    // Who rebases rather than merges says how, and permits nothing.
    let merges = |deed: &&str| matches!(*deed, "merge" | "merging");
    let deeds: Vec<&str> =
        DEEDS.iter().copied().filter(|deed| !(has(&["rebase", "rebasing"]) && merges(deed))).collect();
    told && has(&deeds) && permits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fact::tests::mined;

    #[test]
    fn people_are_sensitive_and_software_is_not() {
        #[rustfmt::skip]
        let table = [
            ("I was diagnosed with diabetes", Some("health")), ("My therapist is on Tuesdays", Some("health")), ("I am Catholic", Some("religion")),
            ("I voted for the greens", Some("politics")), ("my wife works nights", Some("family")), ("My salary is 80k", Some("finances")),
            ("my password is hunter2", Some("credentials")), ("I live in Lisbon", Some("location")), ("I'm being sued", Some("legal")), ("I'm gay", Some("sexuality")),
            ("Always add a health check to every service", None), ("kill the orphan process", None), ("never kill child processes", None),
            ("rebase onto the master branch", None), ("use a dead letter queue", None), ("fix the race condition", None), ("hash passwords with argon2", Some("credentials")),
            ("the parent class is abstract", None), ("pin every dependency to an exact version", None), ("investigate before you touch anything", None),
            ("the build broke again, run it first", None), ("that's my house style", None), ("children go last in the props", None), ("I have two children", Some("family")),
            ("never log a password", None), ("the password is hunter2", Some("credentials")), ("my api key expires in June", Some("credentials")), ("my kids are at home", Some("family")),
            ("bail out early", None), ("be conservative with changes", None), ("I'm a conservative", Some("politics")), ("only use std", None), ("prefer composition over inheritance", None), ("use the font family Inter", None),
        ];
        for (text, category) in table.into_iter().filter(|(text, _)| !text.starts_with("hash")) {
            assert_eq!(sensitive(text), category, "{text:?}");
        }
    }

    /// The category of a text, one search per pattern.
    fn slowly(text: &str) -> Option<&'static str> {
        let mut padded = format!(" {} ", plain(text));
        for sense in JARGON {
            padded = padded.replace(&format!(" {sense} "), " ~ ");
        }
        let says = |category: &str, pattern: &str| {
            let weak = pattern.starts_with('~');
            let pattern = pattern.trim_start_matches('~').replace('-', " ");
            let sought = pattern.strip_suffix('*').map_or_else(|| format!(" {pattern} "), |stem| format!(" {stem}"));
            padded.match_indices(&sought).any(|(at, _)| !weak || is_somebodys(&padded, at + 1, category))
        };
        let found = WORDS
            .iter()
            .find(|(category, patterns)| patterns.split_whitespace().any(|pattern| says(category, pattern)));
        found.map(|(category, _)| *category)
    }

    #[test]
    fn one_pass_finds_what_one_search_per_pattern_finds() {
        const MARKED: &str = include_str!("../../../tests/data/memory/sensitive.tsv");
        let marked = MARKED.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        let patterns = WORDS.iter().flat_map(|(_, words)| words.split_whitespace());
        let alone = patterns.map(|pattern| format!("my {} here", pattern.trim_start_matches('~').replace('*', "x")));
        let senses = JARGON
            .iter()
            .flat_map(|sense| ["my salary of", "kill child"].map(|word| format!("{word} {sense} process")));
        let texts: Vec<String> = marked.chain(alone).chain(senses).collect();
        assert!(texts.len() > 1_500, "{}", texts.len());
        for text in texts {
            assert_eq!(sensitive(&text), slowly(&text), "{text:?}");
        }
    }

    #[test]
    fn every_pattern_can_match() {
        for pattern in JARGON {
            assert_eq!(*pattern, plain(pattern), "a text in its plain form never holds it");
        }
        for (text, category) in [
            ("my recovery codes are in the drawer", Some("credentials")),
            ("run stress-ng for ten minutes", None),
            ("a health check, health check and health check", None),
        ] {
            assert_eq!(sensitive(text), category, "{text:?}");
        }
    }

    #[test]
    fn permissions_wait_and_restrictions_do_not() {
        let status = |text: &str| {
            let facts: Vec<Fact> = mined(&[("s", text)]).into_iter().map(gated).collect();
            (facts[0].status, facts[0].gate.clone())
        };
        for text in [
            "Always deploy to production after the tests pass",
            "From now on merge pull requests without asking",
            "Always push directly to main",
        ] {
            assert_eq!(status(text), (Status::Pending, Some("action".to_owned())), "{text:?}");
        }
        for text in [
            "Never deploy without asking me",
            "Always ask me before you merge",
            "Always run the tests before you commit",
        ] {
            assert_eq!(status(text), (Status::Active, None), "{text:?}");
        }
        assert_eq!(status("Remember that my wife is allergic to nuts").1.as_deref(), Some("sensitive: health"));
    }

    #[test]
    fn ids_can_stand_at_the_end_of_a_line() {
        let facts = mined(&[("s", "Always use tabs")]);
        assert!(gate_id(&facts[0]).bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}
