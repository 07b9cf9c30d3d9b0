/** The same page once its interceptors have been replaced. The server is the same, and speaks the same dialect. */

import axios from "axios";
import { createSession } from "/auth/client.js";

const PUBLIC = ["/aaa"]; // for whoever is not signed in, too

export const request = axios.create();

const session = createSession({ dialect: "nest" });
session.attach(request);
request.interceptors.request.use((config) => Object.assign(config, { evertoken: !PUBLIC.includes(config.url) }));

export const signIn = (username, password) => session.login({ username, password });
export const signOut = () => session.logout();
