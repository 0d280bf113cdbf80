// A client that oapi-codegen makes of the description of the REST API.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"reflect"

	"github.com/oapi-codegen/nullable"

	"userline.test/rest/generated"
)

const id = "rest/go 🙂"

func main() {
	log.SetFlags(log.Lshortfile)
	ctx := context.Background()
	token := read(http.Get(os.Getenv("USERLINE_CONTROL") + "/token"))
	client, err := generated.NewClientWithResponses(
		os.Getenv("USERLINE_URL"),
		generated.WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
			request.Header.Set("Authorization", "Bearer "+token)
			return nil
		}),
	)
	check(err)

	put := func(patch generated.UserPatch) generated.Written {
		answer, err := client.SetUserWithResponse(ctx, "userline", id, nil, patch)
		check(err)
		expect(answer.StatusCode(), 200, string(answer.Body))
		return *answer.JSON200
	}
	get := func() generated.User {
		answer, err := client.GetUserWithResponse(ctx, "userline", id, nil)
		check(err)
		expect(answer.StatusCode(), 200)
		return *answer.JSON200
	}

	name, one, yes := "Ann", "1", true
	expect(put(generated.UserPatch{
		Name:           &name,
		PhotoUrl:       nullable.NewNullableWithValue("https://example.com/ä.png"),
		WelcomeMessage: nullable.NewNullableWithValue("Hello"),
		Email:          nullable.NewNullableWithValue([]string{"δοκιμή@example.com"}),
		Custom:         nullable.NewNullableWithValue(map[string]*string{"a": &one, "b": &one}),
		PushTokens:     nullable.NewNullableWithValue(map[string]*bool{"fcm:x": &yes}),
	}), generated.Written{Created: true, Changed: true})
	done("create")

	user := get()
	expect(user.Id, id)
	expect(user.Custom, map[string]string{"a": "1", "b": "1"})
	expect(user.PushTokens, map[string]bool{"fcm:x": true})
	done("get")

	expect(put(generated.UserPatch{
		Id: &user.Id, Name: &user.Name, PhotoUrl: user.PhotoUrl, Locale: user.Locale,
		Email: nullable.NewNullableWithValue(user.Email), Version: &user.Version,
		CreatedAt: &user.CreatedAt, UpdatedAt: &user.UpdatedAt,
	}), generated.Written{Created: false, Changed: false})
	done("put what was read")

	put(generated.UserPatch{
		Locale: nullable.NewNullableWithValue("pt-BR"),
		Custom: nullable.NewNullableWithValue(map[string]*string{"a": nil}),
	})
	patched := get()
	expect(patched.Custom, map[string]string{"b": "1"})
	expect(patched.Locale.MustGet(), "pt-BR")
	expect(patched.PhotoUrl.MustGet(), "https://example.com/ä.png")
	expect(patched.Email, user.Email)
	done("patch")

	put(generated.UserPatch{
		PhotoUrl:   nullable.NewNullNullable[string](),
		Email:      nullable.NewNullNullable[[]string](),
		PushTokens: nullable.NewNullNullable[map[string]*bool](),
	})
	after := get()
	expect(after.PhotoUrl.IsNull(), true)
	expect(len(after.Email)+len(after.PushTokens), 0)
	expect(after.WelcomeMessage.MustGet(), "Hello")
	done("null")

	bob := "Bob"
	several, err := client.SetUsersWithResponse(ctx, "userline", generated.SetUsersJSONRequestBody{
		id: {Name: &bob}, "rest/go 2": {Name: &bob},
	})
	check(err)
	expect((*several.JSON200)[id], generated.Written{Created: false, Changed: true})
	done("batch")

	nobody := "*"
	exists, err := client.SetUserWithResponse(
		ctx, "userline", id, &generated.SetUserParams{IfNoneMatch: &nobody}, generated.UserPatch{Name: &bob},
	)
	check(err)
	expect(exists.JSON412.ErrorCode, generated.PRECONDITIONFAILED)
	done("condition")

	deleted, err := client.DeleteUserWithResponse(ctx, "userline", id, nil)
	check(err)
	expect(deleted.JSON200.Deleted, true)
	gone, err := client.GetUserWithResponse(ctx, "userline", id, nil)
	check(err)
	expect(gone.JSON404.ErrorCode, generated.NOTFOUND)
	done("delete")

	empty := ""
	refused, err := client.SetUserWithResponse(ctx, "userline", id, nil, generated.UserPatch{
		Name: &empty, Locale: nullable.NewNullableWithValue("x_y"),
	})
	check(err)
	expect(refused.JSON400.ErrorCode, generated.BADUSERINPUT)
	expect(len(refused.JSON400.Reasons), 2)
	done("error")
}

func done(what string) { fmt.Println("done: " + what) }

func read(answer *http.Response, err error) string {
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	expect(answer.StatusCode, 200, string(body))
	return string(body)
}

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func expect(found, wanted any, more ...any) {
	if !reflect.DeepEqual(found, wanted) {
		log.Output(2, fmt.Sprintf("found %#v, wanted %#v %v", found, wanted, more))
		os.Exit(1)
	}
}
