package hub_test

import (
	"encoding/json"
	"testing"

	"ml-intern/internal/hub"
)

// fullAccount has every field that the Hub documents.
const fullAccount = `{"type":"user","id":"5f0c","name":"ada","fullname":"Ada L","email":"a@b.c","emailVerified":true,
"canPay":true,"billingMode":"postpaid","avatarUrl":"/x.png","isPro":true,"periodEnd":1790000000,"new":{"later":[1]},
"orgs":[{"type":"org","id":"1","name":"acme","fullname":"Acme","canPay":false,"avatarUrl":"","periodEnd":null,"plan":"team","roleInOrg":"write",
"securityRestrictions":["mfa"],"resourceGroups":[{"id":"g","name":"g","role":"read"}]},{"name":"looks","roleInOrg":"read"}],
"auth":{"type":"access_token","expiresAt":"2027-01-02T03:04:05.000Z","accessToken":{"displayName":"laptop","role":"fineGrained","createdAt":"2026-01-01T00:00:00.000Z",
"fineGrained":{"canReadGatedRepos":true,"global":["discussion.write"],"scoped":[{"entity":{"_id":"1","name":"acme","type":"org"},"permissions":["repo.content.read","repo.write"]}]}}}}`

func TestAccountIsReadWhole(t *testing.T) {
	t.Parallel()
	var a hub.Account
	if err := json.Unmarshal([]byte(fullAccount), &a); err != nil {
		t.Fatal(err)
	}
	token := a.Auth.AccessToken
	if a.Name != "ada" || a.Plan() != "PRO" || !a.CanPay || a.BillingMode != "postpaid" || a.PeriodEnd != 1790000000 ||
		len(a.Orgs) != 2 || a.Orgs[0].Plan != "team" || a.Orgs[0].Restrictions[0] != "mfa" || a.Orgs[0].ResourceGroups[0].Role != "read" || a.Auth.ExpiresAt.Year() != 2027 ||
		token.DisplayName != "laptop" || !token.FineGrained.CanReadGatedRepos || token.FineGrained.Scoped[0].Entity.Name != "acme" {
		t.Errorf("the account is read as %+v", a)
	}
}

// What the Hub may change some day must not lock anybody out.
func TestAccountIsReadLeniently(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"name":"ada","isPro":"yes","orgs":{"none":1},"periodEnd":"soon"}`,
		`{"name":"ada","auth":{"expiresAt":17,"accessToken":{"createdAt":"yesterday","role":3}}}`,
		`{"name":"ada","auth":null,"orgs":null}`,
	} {
		var a hub.Account
		if err := json.Unmarshal([]byte(text), &a); err != nil || a.Name != "ada" {
			t.Errorf("%s is read as %+v, %v", text, a, err)
		}
	}
	for _, text := range []string{`{}`, `{"name":3}`, `[]`, `{"name":"ada"`} {
		var a hub.Account
		if err := json.Unmarshal([]byte(text), &a); err == nil {
			t.Errorf("%s is taken for an account: %+v", text, a)
		}
	}
}

func TestCanWrite(t *testing.T) {
	t.Parallel()
	fine := func(scoped string) string {
		return `{"accessToken":{"role":"fineGrained","fineGrained":{"scoped":[` + scoped + `]}}}`
	}
	role := func(r string) string { return `{"accessToken":{"role":"` + r + `"}}` }
	cases := []struct {
		name, auth            string
		own, org, look, other bool // by namespace
		repo                  bool // acme/x, a model
		publish               bool
	}{
		{"write", role("write"), true, true, false, false, true, true},
		{"god", role("god"), true, true, false, false, true, true},
		{"read", role("read"), false, false, false, false, false, false},
		{"oauth", `{"type":"oauth"}`, true, true, false, false, true, true},
		{"own scope", fine(`{"entity":{"name":"Ada","type":"user"},"permissions":["repo.write"]}`), true, false, false, false, false, true},
		{"scope of an organization", fine(`{"entity":{"name":"acme","type":"org"},"permissions":["repo.write"]}`), false, true, false, false, true, true},
		{"reading scope", fine(`{"entity":{"name":"acme","type":"org"},"permissions":["repo.content.read"]}`), false, false, false, false, false, false},
		{"scope of one model", fine(`{"entity":{"name":"acme/x","type":"model"},"permissions":["repo.write"]}`), false, false, false, false, true, true},
		{"scope of a data set", fine(`{"entity":{"name":"acme/x","type":"dataset"},"permissions":["repo.write"]}`), false, false, false, false, false, true},
		{"no scope", fine(``), false, false, false, false, false, false},
		{"resource", `{"resource":{"sub":"acme/x"}}`, false, false, false, false, true, true},
		{"resource of a user", `{"resource":{"sub":"ada"}}`, false, false, false, false, false, false},
	}
	for _, c := range cases {
		var a hub.Account
		text := `{"name":"ada","orgs":[{"name":"acme","roleInOrg":"write"},{"name":"looks","roleInOrg":"read"}],"auth":` + c.auth + `}`
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		got := []bool{
			a.CanWrite("ada"), a.CanWrite("acme"), a.CanWrite("looks"), a.CanWrite("eve"),
			a.CanWriteRepo(hub.RepoID{Type: hub.Model, Namespace: "acme", Name: "x"}), a.CanPublish(),
		}
		want := []bool{c.own, c.org, c.look, c.other, c.repo, c.publish}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: own, org, look, other, repo, publish = %v, want %v", c.name, got, want)
				break
			}
		}
	}
}
