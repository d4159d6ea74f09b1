package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

// tellPictures tells the person, once for each prompt and model, that the model
// which answers next takes no pictures.
func (t turn) tellPictures(ctx context.Context) error {
	info := t.model().Info()
	if info.Images {
		return nil
	}
	for _, ev := range slices.Backward(t.session.Events()) {
		if ev.Prompt == nil {
			continue
		}
		kind := fmt.Sprintf("pictures %d %s", ev.Seq, info.ID)
		if len(ev.Prompt.Pictures) == 0 || t.session.Noticed(kind) {
			return nil
		}
		text := fmt.Sprintf("%s takes no pictures: it reads the name of %s and sees nothing of it", info.ID, pictureNames(ev.Prompt.Pictures))
		return t.emit(ctx, session.Event{Notice: &session.Notice{Kind: kind, Text: text}})
	}
	return nil
}

func pictureNames(pictures []*llm.Image) string {
	all := make([]string, len(pictures))
	for i, p := range pictures {
		all[i] = p.Name
	}
	return strings.Join(all, ", ")
}
