package export

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"

	"ml-intern/internal/hub/hubserver/web"
	"ml-intern/internal/llm"
	"ml-intern/internal/markup"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

func writeHTML(w io.Writer, d document) error {
	set, err := markup.New(map[string]string{"page": pageText}, markup.Funcs{
		"stamp":    stamp,
		"shown":    shown,
		"markdown": func(text string) markup.HTML { return web.Markdown{}.HTML([]byte(text)) },
		"picture": func(i *llm.Image) markup.URL { // of a known kind; see shown
			return markup.URL("data:" + i.MediaType + ";base64," + base64.StdEncoding.EncodeToString(i.Data))
		},
		"described": (*llm.Image).String,
		"style":     func() markup.CSS { return markup.CSS(pageStyle) },
	})
	if err != nil {
		return fmt.Errorf("make page: %w", err)
	}
	return set.Write(w, "page", d)
}
