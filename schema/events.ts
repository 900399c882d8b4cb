// Generated from the topic table of clone-schema; do not edit.

export const CLONE_EVENT_TYPES = [
  "session.started",
  "session.stopped",
  "app.focused",
  "capture.frame",
  "input.keystroke",
  "input.click",
  "input.scroll",
  "agent.prompt",
  "agent.response",
  "terminal.command",
  "browser.visited",
  "agent.choice",
] as const;
export type CloneEventType = (typeof CLONE_EVENT_TYPES)[number];

export const CLONE_EVENT_SOURCES = [
  "desktop",
  "cli",
  "mobile",
  "smartglass",
  "agent",
  "integration",
] as const;
export type CloneEventSource = (typeof CLONE_EVENT_SOURCES)[number];

export const CLONE_EVENT_ORIGINS = [
  "typed",
  "agent",
  "screen",
  "pasted",
  "ours",
  "unknown",
] as const;
export type CloneEventOrigin = (typeof CLONE_EVENT_ORIGINS)[number];

/** Which modifier keys were held. */
export interface CloneModifiers {
  shift: boolean;
  ctrl: boolean;
  alt: boolean;
  meta: boolean;
}

/** What else is known about an event. */
export interface CloneEventMeta {
  origin?: CloneEventOrigin;
  cwd?: string;
  project?: string;
  import_key?: string;
  raw_source?: string;
}

/** What every event has. */
export interface CloneEventBase {
  id: string;
  session_id: string;
  occurred_at: string;
  meta?: CloneEventMeta;
}

/** Where an event came from; an integration says which one it is. */
export type CloneEventProvenance =
  | { source: Exclude<CloneEventSource, "integration">; source_detail?: string | null }
  | { source: "integration"; source_detail: string };

export interface SessionStartedEvent extends CloneEventBase {
  type: "session.started";
}

export interface SessionStoppedEvent extends CloneEventBase {
  type: "session.stopped";
}

export interface AppFocusedEvent extends CloneEventBase {
  type: "app.focused";
  app: string;
  window_title: string | null;
}

export interface CaptureFrameEvent extends CloneEventBase {
  type: "capture.frame";
  uri: string;
  content_hash: string | null;
  width: number;
  height: number;
}

export interface InputKeystrokeEvent extends CloneEventBase {
  type: "input.keystroke";
  event_type: "press" | "release";
  modifiers: CloneModifiers;
}

export interface InputClickEvent extends CloneEventBase {
  type: "input.click";
  x: number;
  y: number;
  button: number;
  modifiers: CloneModifiers;
}

export interface InputScrollEvent extends CloneEventBase {
  type: "input.scroll";
  x: number;
  y: number;
  delta_x: number;
  delta_y: number;
  modifiers: CloneModifiers;
}

export interface AgentPromptEvent extends CloneEventBase {
  type: "agent.prompt";
  agent: string;
  prompt: string;
}

export interface AgentResponseEvent extends CloneEventBase {
  type: "agent.response";
  agent: string;
  response: string;
  in_response_to: string | null;
}

export interface TerminalCommandEvent extends CloneEventBase {
  type: "terminal.command";
  command: string;
  cwd: string | null;
  exit_code: number | null;
  duration_ms: number | null;
}

export interface BrowserVisitedEvent extends CloneEventBase {
  type: "browser.visited";
  url: string;
  title: string | null;
}

export interface AgentChoiceEvent extends CloneEventBase {
  type: "agent.choice";
  agent: string;
  kind: "question" | "permission" | "plan";
  question: string;
  options: string[];
  choice: string | null;
  outcome: "chosen" | "other" | "rejected" | "interrupted";
  in_response_to: string | null;
}

/** One event on its way into Clone, told apart by `type`. */
export type CloneEvent = CloneEventProvenance &
  (
    | SessionStartedEvent
    | SessionStoppedEvent
    | AppFocusedEvent
    | CaptureFrameEvent
    | InputKeystrokeEvent
    | InputClickEvent
    | InputScrollEvent
    | AgentPromptEvent
    | AgentResponseEvent
    | TerminalCommandEvent
    | BrowserVisitedEvent
    | AgentChoiceEvent
  );
