package series

import ("testing";"fmt";"os")

func TestReal(t *testing.T) {
	for _, p := range []string{"/tmp/watch_trackio/d43/demorun.db","/tmp/watch_trackio/d09/demorun.db"} {
		var s Set
		tr := Trackio{Path: p}
		for range 2 {
		if err := tr.Read(t.Context(), s.Add); err != nil { t.Fatal(err) }}
		fmt.Println(s.Table(0))
	}
	if u := os.Getenv("TKURL"); u != "" {
		var s Set
		d := Dashboard{URL: u, Project: "demorun", Run: "first"}
		for range 2 { if err := d.Read(t.Context(), s.Add); err != nil { t.Fatal(err) } }
		fmt.Println(s.Table(0))
	}
}
