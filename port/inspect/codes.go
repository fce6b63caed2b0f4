package inspect

// Code is one sort of finding that this package makes, in words.
type Code struct {
	Code    string `json:"code"`
	Text    string `json:"text"`
	Symptom string `json:"symptom"` // what a user would see
	Fix     string `json:"fix"`
}

// Codes lists every code of this package's own. Findings of the rooms it asks
// keep theirs.
func Codes() []Code {
	const real = "go by what the ROM is, not by what it claims"
	return []Code{
		{"claim-android-version", "the version that is claimed is not that of the system", "apps for the claimed version do not install or crash", real + ": choose donors of the real version"},
		{"claim-cpu", "the chip that is claimed is not the one that kernel and loaders are for", "a ROM chosen by the claimed chip does not start", real + ": choose donors by the kernel's chip"},
		{"claim-abi", "the system's programs have another width than is claimed", "apps with native code do not install", "set ro.product.cpu.abi to what lib/libc.so is"},
		{"claim-ram", "the preloader can start less memory than is claimed", "apps are closed as if memory ran out, with much shown as free", real},
		{"claim-storage", "the layout has less room than is claimed", "large files are written and come back broken", real},
		{"claim-panel", "the density does not go with the panel", "everything is too large or too small on the screen", "take ro.sf.lcd_density from a ROM of this phone"},
		{"claim-board", "the parts are of different boards", "the phone does not start, or a part stays dead", "put the firmware together from one source"},
		{"claim-model", "a maker's name on a phone that it never made", "firmware for the claimed model bricks the phone", "look for firmware by the board name of preloader and scatter"},
		{"claim-fingerprint", "the fingerprint is of another build", "the market and some apps take the phone for another model", real},
		{"claim-overridden", "a property is set twice, and differently", "the phone shows the first value; tools that read the last show another", "keep the honest value and take the other out"},
		{"inspect-unreadable", "a part of the file or ROM cannot be read", "", "take the file from its source again; keep this one"},
	}
}
