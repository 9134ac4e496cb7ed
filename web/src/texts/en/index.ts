import { broadcast } from "./broadcast";
import { classes, textClasses } from "./classes";
import { operate } from "./operate";
import { watch } from "./watch";

/** Every word that people read, in English. A translation is another object of the same shape. */
export const en = {
  product: "Scrim",
  tagline: "Live video, made safe before anyone sees it.",
  nav: { home: "Home", broadcast: "Go live", operate: "Operate", skip: "Skip to the content" },
  home: {
    watchTitle: "Watch a stream",
    watchHelp: "Enter the name of its room.",
    watchAction: "Watch",
    broadcastTitle: "Go live",
    broadcastHelp: "Camera, microphone or screen. Your viewers see the checked picture only.",
    broadcastAction: "Set up",
    operateTitle: "Operate",
    operateHelp: "Every live stream, what was covered and why, rules and figures.",
    operateAction: "Open",
    room: "Room",
  },
  common: {
    close: "Close",
    cancel: "Cancel",
    retry: "Try again",
    loading: "Loading …",
    unknown: "–",
    roomRule: "3 to 50 letters, digits, - or _",
    nameRule: "2 to 50 letters, digits, spaces, - or _",
    roomReserved: "Names that end in -processed are for viewers",
    offline: "This device is offline.",
    failed: "That did not work: {why}",
    tooMany: "Too many requests. Goes on in {seconds} s.",
    noTicket: "The server gave no access to {room}.",
    unreachable: "The server cannot be reached.",
  },
  signIn: {
    title: "Sign in",
    help: "Paste the access token that your administrator gave you. It stays in this tab only.",
    label: "Access token",
    action: "Sign in",
    refused: "This token does not hold here: {why}",
    out: "Sign out",
  },
  offline: { title: "You are offline", help: "Scrim needs a connection. This page tries again." },
  watch,
  broadcast,
  operate,
  classes,
  textClasses,
};

/** What a translation must have. */
export type Texts = typeof en;
