package report

import (
	"strings"
	"testing"

	"mtkport"
	"mtkport/port/plan"
	"mtkport/port/splice"
)

func TestWrite(t *testing.T) {
	s := Story{
		Manifest: &splice.Manifest{Donor: splice.Side{Path: "/x/nice_rom.zip"}, Target: splice.Side{Path: "stock/", Model: "P|1 <b>", Android: "4.2.2"},
			Outputs: []splice.Output{{Name: "boot.img", Partition: "BOOTIMG", Size: 5, SHA256: "aa"}, {Name: "MT6572_Android_scatter.txt", SHA256: "bb"}}},
		Plan: &plan.Plan{Style: plan.Look, Decisions: []plan.Decision{{Path: "system/lib/libcameracustom.so", Take: plan.Target, Rule: "cam.custom", Symptom: "no camera"},
			{Path: "system/app/A.apk", Take: plan.Donor, Rule: "apps"}, {Path: "system/x", Take: plan.Drop, Rule: "base"}}},
		Findings: []mtkport.Finding{{Code: "b", Severity: mtkport.Note, Text: "a note"}, {Code: "sim-count", Severity: mtkport.Note, Text: "other SIMs", Symptom: "a phantom slot", Fix: "look"},
			{Code: "kernel-version", Severity: mtkport.Risk, Text: "another kernel", Symptom: "no picture", Fix: "look on", Evidence: []mtkport.Evidence{{Side: "donor", File: "boot.img", Value: "3.4.5"}}}},
	}
	var b strings.Builder
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`This phone (P\|1 &lt;b>, Android 4.2.2) gets the software of another one (nice\_rom.zip).`,
		"The phone keeps its own system", "| camera | 1 | 0 | 0 |", "| apps | 0 | 1 | 0 |",
		"- **Another kernel.** (kernel-version)\n  - donor boot.img: 3.4.5\n  - you would see: no picture\n  - then: look on",
		"| boot.img | BOOTIMG | 5 |", "`MT6572_Android_scatter.txt` marks exactly these", "- note b: a note", "- Other SIMs. You would see: a phantom slot. Look.\n", "| camera | no camera | this phone | cam.custom |", "5. To go back", "| boot.img | `aa` |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestWordOf(t *testing.T) {
	for rule, want := range map[string]string{"cam.core": "camera", "fw.modem": "mobile network", "fw.wmt": "wifi, Bluetooth, GPS", "fw": "the rest of the system", "base": "the rest of the system", "prop": "settings of the system"} {
		if got := wordOf(rule); got != want {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
}
