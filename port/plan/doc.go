// Package plan decides where every path of a ported ROM comes from.
//
// The rules are data: YAML files in the folder rules, embedded, and read with
// strict decoding (an unknown key is an error). One entry says which paths it is
// about, what to take in each style of port, why, what a user would see if it
// were done otherwise, and who knows it.
//
// # Styles
//
// [Drivers] starts from the donor's system and puts the target's hardware files
// over it; boot image and ramdisk are the target's. [Look] starts from the
// target's system and takes apps, sounds and pictures from the donor; native
// code never crosses.
//
// # Which rule holds
//
// Rules are tried in order, and the first whose patterns match holds: the
// embedded files in the order of their names, particular rules before general
// ones, the last one matching everything. A user's file comes before all: its
// entry with a known id replaces that entry in place, its other entries are
// tried first.
//
// # Paths
//
// Patterns are those of doublestar (**, *, ?, {a,b}) over a path without leading
// slash: system/… for the system image, ramdisk/… for the ramdisk, boot/… for
// parts of the boot image. [Canonical] brings a path of a person's list into that
// form.
//
// # The plan
//
// [Make] is a pure function of two inventories and a rule set. A [Plan] is
// written as YAML that a person can read and edit; [Parse] reads it back.
// Files that are the same on both sides need no decision and are only counted.
//
// Sources: measured ports of real phones (Lenovo A516, Coolpad 8297) and blob
// lists of device trees; each rule names its own.
package plan
