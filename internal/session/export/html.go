package export

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"ml-intern/internal/hub/hubserver/web"
	"ml-intern/internal/llm"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

func writeHTML(w io.Writer, d document) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"stamp":    stamp,
		"shown":    shown,
		"markdown": func(text string) template.HTML { return web.Markdown{}.HTML([]byte(text)) },
		"picture": func(i *llm.Image) template.URL { // of a known kind; see shown
			return template.URL("data:" + i.MediaType + ";base64," + base64.StdEncoding.EncodeToString(i.Data))
		},
		"style": func() template.CSS { return template.CSS(pageStyle) },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	return page.Execute(w, d)
}
