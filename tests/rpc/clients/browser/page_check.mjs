// Opens a page in headless Chromium and prints what a reader sees: node page_check.mjs FILE
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.CLIENT_PACKAGES + "/package.json");
const { default: chromium } = await import(pathToFileURL(require.resolve("@sparticuz/chromium")));
const { chromium: playwright } = require("playwright-core");

const browser = await playwright.launch({ executablePath: await chromium.executablePath(), args: chromium.args });
const page = await browser.newPage();
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
page.on("request", (request) => request.url().startsWith("file:") || problems.push(`loads ${request.url()}`));
await page.goto(`file://${process.argv[2]}`);
const seen = await page.evaluate(() => ({
  title: document.title,
  verdict: document.querySelector("#verdict").innerText,
  headings: [...document.querySelectorAll("h2")].map((heading) => heading.innerText),
  bars: [...document.querySelectorAll("svg rect")].map((bar) => bar.getBoundingClientRect().width),
  cells: document.querySelectorAll("td").length,
  overflows: document.documentElement.scrollWidth > window.innerWidth,
}));
await browser.close();
console.log(JSON.stringify({ ...seen, problems }));
