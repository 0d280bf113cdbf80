// A typed client that genqlient makes of the schema, with github.com/gorilla/websocket for subscriptions.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/gorilla/websocket"
	"github.com/oapi-codegen/nullable"
	"github.com/vektah/gqlparser/v2/gqlerror"

	. "userline.test/genqlient/generated"
)

const id = "genqlient 🙂"

var gateway = os.Getenv("USERLINE_URL") + "/graphql"

func main() {
	log.SetFlags(log.Lshortfile)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	requests := &http.Client{Transport: authorized{token(3600)}}
	client := graphql.NewClient(gateway, requests)

	nobody, err := GetUser(ctx, client, id)
	check(err)
	expect(nobody.User.IsNull(), true)
	done("query")

	// A field that is not named is not sent, and stays as it is.
	_, err = SetUser(ctx, client, id, SetUserInput{
		Name:           nullable.NewNullableWithValue("Ann"),
		PhotoUrl:       nullable.NewNullableWithValue("https://example.com/ann.png"),
		WelcomeMessage: nullable.NewNullableWithValue("Hello"),
		Email:          []string{"ann@example.com"},
	})
	check(err)
	// One that is null goes back to its default.
	_, err = SetUser(ctx, client, id, SetUserInput{PhotoUrl: nullable.NewNullNullable[string]()})
	check(err)
	read, err := GetUser(ctx, client, id)
	check(err)
	user := read.User.MustGet().Profile
	expect(user.PhotoUrl.IsNull(), true)
	expect([]string{user.Name, user.WelcomeMessage.MustGet()}, []string{"Ann", "Hello"})
	expect(strings.Contains(control("/user", "id", id), "ann@example.com"), true)
	done("mutation")

	batch := []any{
		map[string]any{"query": GetUser_Operation, "variables": map[string]any{"id": id}},
		map[string]any{"query": GetUser_Operation, "variables": map[string]any{"id": "nobody"}},
	}
	body, err := json.Marshal(batch)
	check(err)
	answer, err := requests.Post(gateway, "application/json", bytes.NewReader(body))
	check(err)
	var answers []graphql.BaseResponse[GetUserResponse]
	check(json.NewDecoder(answer.Body).Decode(&answers))
	answer.Body.Close()
	expect(answers[0].Data.User.MustGet().Name, "Ann")
	expect(answers[1].Data.User.IsNull(), true)
	done("batch")

	_, err = SetUser(ctx, client, id, SetUserInput{PhotoUrl: nullable.NewNullableWithValue("ftp://a")})
	var list gqlerror.List
	expect(errors.As(err, &list), true, err)
	expect(list[0].Extensions["code"], "BAD_USER_INPUT")
	expect(list[0].Extensions["field"], "photoUrl")
	done("error")

	watching := watch(ctx, token(3600))
	expect(watching.name(), "Ann")
	control("/change", "id", id, "name", "Bob")
	expect(watching.name(), "Bob")
	done("subscription")

	ending := watch(ctx, token(2))
	expect(ending.name(), "Bob")
	var closed *websocket.CloseError
	expect(errors.As(<-ending.ended, &closed), true)
	expect(closed.Code, 4410)
	again := watch(ctx, token(3600))
	expect(again.name(), "Bob")
	done("the end of a token")

	control("/restart")
	expect(errors.As(<-watching.ended, &closed), true)
	expect(closed.Code, websocket.CloseServiceRestart)
	after := watch(ctx, token(3600))
	expect(after.name(), "Bob")
	control("/change", "id", id, "name", "Cid")
	expect(after.name(), "Cid")
	after.client.Close() // its error says that it cannot unsubscribe any more
	done("restart")
}

// A subscription on a connection of its own.
type watcher struct {
	client graphql.WebSocketClient
	events chan UserChangedWsResponse
	ended  chan error
}

func watch(ctx context.Context, token string) watcher {
	address := strings.Replace(gateway, "http", "ws", 1)
	params := graphql.WithConnectionParams(map[string]any{"token": token})
	client := graphql.NewClientUsingWebSocket(address, dialer{}, params)
	ended, err := client.Start(ctx)
	check(err)
	events, _, err := UserChanged(ctx, client, id)
	check(err)
	return watcher{client, events, ended}
}

// The name in the next event.
func (w watcher) name() string {
	select {
	case event := <-w.events:
		expect(len(event.Errors), 0, event.Errors)
		return event.Data.UserChanged.MustGet().Name
	case <-time.After(30 * time.Second):
		return "nothing came"
	}
}

type dialer struct{}

func (dialer) DialContext(ctx context.Context, address string, header http.Header) (graphql.WSConn, error) {
	connection, _, err := websocket.DefaultDialer.DialContext(ctx, address, header)
	return connection, err
}

type authorized struct{ token string }

func (a authorized) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+a.token)
	return http.DefaultTransport.RoundTrip(request)
}

func token(seconds int) string {
	return control("/token", "user", id, "seconds", fmt.Sprint(seconds))
}

func control(path string, given ...string) string {
	query := url.Values{}
	for at := 0; at < len(given); at += 2 {
		query.Set(given[at], given[at+1])
	}
	answer, err := http.Get(os.Getenv("USERLINE_CONTROL") + path + "?" + query.Encode())
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	expect(answer.StatusCode, 200, string(body))
	return string(body)
}

func done(what string) { fmt.Println("done: " + what) }

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
