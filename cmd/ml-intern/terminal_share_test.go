package main

import (
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/llm/llmtest"
)

// sized are sizes and days, which differ between builds and runs.
var sized = regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}\b|\b[0-9]+ (bytes|KB)`)

// What would leave is shown before anybody says yes.
func TestTerminalShare(t *testing.T) {
	onScreens(t, func(p *pane) {
		server, err := hubserver.Open(hubserver.Options{Dir: t.TempDir(), User: "alice"})
		if err != nil {
			p.Fatal(err)
		}
		h := httptest.NewServer(server)
		p.Cleanup(func() {
			h.Close()
			_ = server.Close()
		})
		p.env = append(p.env, "HF_ENDPOINT="+h.URL, "HF_TOKEN=a-token-of-alice")
		p.model(bashTurn("echo hi"), llmtest.Turn{Text: "That is it."})
		p.start()
		p.chats()
		p.says("My token is a-token-of-alice.")
		p.see(`That is it\.`)
		p.gone(`Esc`)
		mask := func(screen string) string { return sized.ReplaceAllString(screen, "«SIZE»") }
		p.says("/share")
		p.golden("share", mask(p.see(`seen by`)))
		time.Sleep(time.Second) // keys count when the panel is calm
		p.keys("y")
		p.golden("share-done", mask(p.see(`Shared, private`)))
		p.leaves()
	})
}
