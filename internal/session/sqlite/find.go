package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"ml-intern/internal/session"
)

// topLevel says that a session is nobody's sub-agent, in the words of the index.
const topLevel = "json_extract(summary, '$.parent') IS NULL"

// Find returns the sessions that a query asks for.
func (s *Store) Find(ctx context.Context, q session.Query) (session.Found, error) {
	where, args := conditions(q)
	whole := q.Dir != "" || q.Model != "" // is decided here: to decode all summaries is faster than to have SQLite read them
	limit := ""
	if q.Limit > 0 && !whole {
		limit = fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	with, of, count := "", where, "0"
	if limit != "" && len(args) > 0 { // texts are looked through once, for the list and for how many there are
		with, of, count = "WITH hits AS MATERIALIZED (SELECT id FROM sessions WHERE "+where+") ", topLevel+" AND id IN hits", "(SELECT count(*) FROM hits)"
	}
	var found session.Found
	var texts sql.NullString
	all := 0
	err := s.db.QueryRowContext(ctx, with+`SELECT group_concat(summary, char(30)), `+count+` FROM
		(SELECT summary FROM sessions WHERE `+of+` ORDER BY updated DESC, id DESC`+limit+`)`, args...).Scan(&texts, &all)
	if err == nil {
		found.Sessions, err = decode[session.Summary](texts.String)
	}
	if whole {
		found.Sessions = slices.DeleteFunc(found.Sessions, func(sum session.Summary) bool { return !fits(sum, q) })
	}
	found.All = max(all, len(found.Sessions))
	if err == nil && limit != "" && with == "" && found.All == q.Limit {
		err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM sessions WHERE "+where, args...).Scan(&found.All)
	}
	if err != nil {
		return session.Found{}, fmt.Errorf("find sessions: %w", advise(s.path, err))
	}
	if q.Limit > 0 {
		found.Sessions = found.Sessions[:min(q.Limit, len(found.Sessions))]
	}
	return found, nil
}

// fits reports whether a session has the folder and the model.
func fits(sum session.Summary, q session.Query) bool {
	if q.Dir != "" {
		if rel, err := filepath.Rel(q.Dir, sum.Dir); err != nil || !filepath.IsLocal(rel) {
			return false
		}
	}
	return strings.Contains(strings.ToLower(sum.Model), strings.ToLower(q.Model))
}

// conditions are what a query says of texts, in SQL.
func conditions(q session.Query) (where string, args []any) {
	all := []string{topLevel}
	and := func(condition, value string) {
		all, args = append(all, "id IN (SELECT owner FROM texts WHERE "+condition+")"), append(args, value)
	}
	for _, word := range strings.Fields(q.Artifact) {
		and("kind = 'artifact' AND instr(lower(text), lower(?)) > 0", word)
	}
	for _, word := range strings.Fields(q.Text) {
		switch {
		case len([]rune(word)) >= 3: // as many as the index has together
			and("id IN (SELECT rowid FROM words WHERE words MATCH ?)", `"`+strings.ReplaceAll(word, `"`, `""`)+`"`)
		case strings.ContainsAny(word, "%_"):
			and("instr(lower(text), lower(?)) > 0", word)
		default:
			and("text LIKE ?", "%"+word+"%")
		}
	}
	return strings.Join(all, " AND "), args
}

// IDs lists the ids of sessions that begin with the text, those of sub-agents
// left out, and reports whether it is the whole id of one, theirs too.
func (s *Store) IDs(ctx context.Context, prefix string) (ids []string, whole bool, err error) {
	var one string
	err = s.db.QueryRowContext(ctx, "SELECT id FROM sessions WHERE id = ?", prefix).Scan(&one)
	if err == nil {
		return []string{one}, true, nil
	}
	var texts sql.NullString
	if errors.Is(err, sql.ErrNoRows) {
		err = s.db.QueryRowContext(ctx, `SELECT group_concat(id, char(30)) FROM (SELECT id FROM sessions
			WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1 AND id < ?1 || '~' AND `+topLevel+` ORDER BY updated DESC)`, prefix).Scan(&texts)
	}
	if err != nil {
		return nil, false, fmt.Errorf("find sessions: %w", advise(s.path, err))
	}
	if texts.String == "" {
		return nil, false, nil
	}
	return strings.Split(texts.String, separator), false, nil
}

// Summary is one session as a list has it, a sub-agent's too, or fails with
// session.ErrNotFound.
func (s *Store) Summary(ctx context.Context, id string) (session.Summary, error) {
	var text string
	err := s.db.QueryRowContext(ctx, "SELECT summary FROM sessions WHERE id = ?", id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return session.Summary{}, fmt.Errorf("session %s: %w", id, session.ErrNotFound)
	}
	var list []session.Summary
	if err == nil {
		list, err = decode[session.Summary](text)
	}
	if err != nil || len(list) != 1 {
		return session.Summary{}, s.failure("find", id, err)
	}
	return list[0], nil
}
