package sqlite_test
import ("testing";"time";"path/filepath";"ml-intern/internal/session/sqlite")
func BenchmarkSplit(b *testing.B){
	path := filepath.Join(b.TempDir(), "s.db")
	var seq int64
	var o,a,a2,c time.Duration
	for b.Loop() {
		t0:=time.Now()
		s,err := sqlite.Open(b.Context(), path)
		if err!=nil{b.Fatal(err)}
		t1:=time.Now()
		seq++
		s.Append(b.Context(), "a", reply(seq))
		t2:=time.Now()
		seq++
		s.Append(b.Context(), "a", reply(seq))
		t3:=time.Now()
		s.Close()
		t4:=time.Now()
		o+=t1.Sub(t0);a+=t2.Sub(t1);a2+=t3.Sub(t2);c+=t4.Sub(t3)
	}
	b.ReportMetric(float64(o.Microseconds())/float64(b.N),"open-us")
	b.ReportMetric(float64(a.Microseconds())/float64(b.N),"append1-us")
	b.ReportMetric(float64(a2.Microseconds())/float64(b.N),"append2-us")
	b.ReportMetric(float64(c.Microseconds())/float64(b.N),"close-us")
}
