package kernel

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

// list renders drivers as kind/name@id, declared ones with a star.
func list(d *Drivers, kinds ...Kind) string {
	var out []string
	for _, k := range kinds {
		for _, x := range d.Of(k) {
			s := x.Name
			if x.ID != "" {
				s += "@" + x.ID
			}
			if x.State == Declared {
				s += "*"
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func TestDriversReal(t *testing.T) {
	for _, c := range []struct {
		file string
		kind Kind
		want string
	}{
		{"a516-boot.img", LCM, "hx8369b_fwvga_dsi_vdo otm8018b_dsi_vdo"},
		{"a516-boot.img", Camera, "ov5645_mipi_yuv@0x5645 sp0a19yuv@0xa6 ov5645_mipi_yuv@0x5645"},
		{"a516-boot.img", Touch, "gt9xx gt9xx@0x5d*"},
		{"a516-boot.img", Accelerometer, "KXTIK1004 KXTIK1004@0xe*"},
		{"a516-boot.img", Proximity, "APDS9930 EPL2182 APDS9930@0x39* EPL2182@0x49*"},
		{"a516-boot.img", Charger, "fan5405 fan5405@0x6a* mt6323"},
		{"a516-boot.img", Lens, ""},
		{"pixi3-boot.img", LCM, "hx8379c_wvga_dsi_vdo_TDT_6572 ili9806e_wvga_dsi_vdo_TXD_6572 hx8379c_wvga_dsi_vdo_dijing_6572 ili9806e_wvga_dsi_vdo_COE_6572"},
		{"pixi3-boot.img", Touch, "FT6336 MSG2138A MSG2238 FT6336@0x38* MSG2138A@0x26* MSG2238@0x59*"},
		{"pixi3-boot.img", Accelerometer, "mxc6255x bma222e_gsensor MXC6255X@0x15* BMA222E@0x18*"},
		{"pixi3-boot.img", Proximity, "ctp_simulate_alsps tmd2772 tmd2772@0x39*"},
		{"celkon-a98-boot.img", LCM, "nt35510_dbi_wvga"},
		{"litemod-boot.img", Touch, "MSG2133 mtk-tpd@0x26*"},
		{"litemod-boot.img", LCM, "hx8379a_dsi_vdo_tcl_bidrectional hx8379a_dsi_vdo_bidirectional otm8018b_dsi_vdo"},
	} {
		d := openReal(t, c.file).Drivers(Builtin())
		if got := list(d, c.kind); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.file, c.kind, got, c.want)
		}
		missing := strings.Contains(" "+join(d.NotFound)+" ", " "+string(c.kind)+" ")
		if missing != (c.want == "") {
			t.Errorf("%s: not found %v", c.file, d.NotFound)
		}
	}
}

func join(kinds []Kind) string {
	var s []string
	for _, k := range kinds {
		s = append(s, string(k))
	}
	return strings.Join(s, " ")
}

func TestDriversJSON(t *testing.T) {
	d := openReal(t, "a516-boot.img").Drivers(Builtin())
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Kernel  map[string]string
		Drivers []map[string]any
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Kernel["version"] != "3.4.5" || got.Kernel["soc"] != "MT6572" || got.Kernel["banner"] == "" {
		t.Errorf("%v", got.Kernel)
	}
	for _, x := range got.Drivers {
		for _, key := range []string{"kind", "name", "id", "state", "evidence"} {
			if _, ok := x[key]; !ok {
				t.Errorf("driver without %s: %v", key, x)
			}
		}
		if s := x["state"]; s != "compiled" && s != "declared" {
			t.Errorf("state %v", s)
		}
	}
}

func TestRecognisers(t *testing.T) {
	if _, err := ParseRecognisers(BuiltinYAML()); err != nil {
		t.Fatal(err)
	}
	for bad, want := range map[string]string{
		"hooks: {x_add: toaster}":                         "toaster",
		"colour: red":                                     "colour",
		"names: [{kind: touch, words: ['(']}]":            "missing closing",
		"symbols: [{kind: gpu, name: x, prefix: a}]":      "prefix",
		"strings: [{kind: radar, text: x, match: '(x)'}]": "radar",
	} {
		if _, err := ParseRecognisers([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for name, want := range map[string]Kind{
		"FT6306": Touch, "gt9xx": Touch, "MSG2138A": Touch, "mtk-tpd": Touch, "synaptics-s3203": Touch,
		"BMA222E": Accelerometer, "kxtj2_1009": Accelerometer, "LIS3DH": Accelerometer, "MC3413-P": Accelerometer, "mir3da": Accelerometer,
		"akm8963": Magnetometer, "mmc3416x": Magnetometer, "bmm050": Magnetometer, "yamaha530": Magnetometer,
		"MPU3000": Gyroscope, "stk3x1x": Proximity, "LTR_501ALS": Proximity, "TMD2771": Proximity, "ctp_simulate_alsps": Proximity,
		"FM50AF": Lens, "OV5648AF_SUNWIN": Lens, "DW9714aAF": Lens, "kd_flashlight": Flash, "leds-ADP1650": Flash,
		"fan5405": Charger, "bq24196": Charger, "mt6329_pmic": Charger, "tfa9887": Audio, "MATV_I2C": "", "nmiatv": "",
	} {
		if got := Builtin().byName(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Damage in a real kernel's tables never panics, and never finds more than
// there is room for.
func TestDamagedTables(t *testing.T) {
	if testing.Short() {
		t.Skip("a sweep")
	}
	whole := openReal(t, "celkon-a98-boot.img")
	table, _, ok := findKallsyms(&whole.image, 0)
	if !ok {
		t.Fatal("no symbol table")
	}
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 8 {
		b := bytes.Clone(whole.Image())
		for range 3000 {
			b[r.IntN(len(b))] = byte(r.IntN(256))
		}
		switch i % 4 { // and the parts that everything hangs on
		case 0:
			b[table.tokenIndex+r.IntN(2*tokens)] ^= 0xff
		case 1:
			b[table.numOff] ^= byte(1 + r.IntN(255))
		case 2:
			b = b[:table.markers+r.IntN(len(b)-table.markers)]
		}
		k := &Kernel{form: Image, image: view{data: b, base: defaultBase}}
		if d := k.Drivers(Builtin()); len(d.List) > 2000 {
			t.Errorf("%d drivers in a damaged kernel", len(d.List))
		}
		k.Config()
	}
}
