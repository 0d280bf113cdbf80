"""500 people of nobody's acquaintance: names and titles put together, the same ones each time."""

from __future__ import annotations

import random

GIVEN = (
    "Ada Alma Amara Anouk Arjun Astrid Aylin Bao Beatriz Bram Camille Carlos Chiara Chidi Dalia Daniel Daria Diego Dilara "
    "Edda Eero Elif Emeka Esra Farah Felix Femke Finn Gita Goran Hana Hanne Hiro Ida Ilse Imani Ines Ingrid Isaac Ivo Jamal "
    "Jonas Julia Kaito Karim Kerstin Kofi Lan Lars Leila Leo Lina Lotte Lucía Maja Malik Mara Marek Mateo Mei Mila Mira Nadia "
    "Naoko Nils Noor Nora Olga Omar Oscar Paula Pekka Petra Priya Rafael Rania Ravi Rosa Ruben Saga Samir Sanne Selma Sofia "
    "Sven Tara Tariq Teodor Thea Tomás Tuva Uma Vera Viktor Wanda Xiomara Yara Yusuf Zoë Zsófia"
).split()
FAMILY = (
    "Aalto Abara Acosta Adeyemi Albrecht Almeida Andersen Arslan Bakker Banerjee Baptiste Bergström Bianchi Bosch Castillo "
    "Chen Costa Dahl Demir Dubois Eklund Eriksen Farouk Ferrari Fischer Fontaine Garcia Greco Haddad Hansen Hartmann Hoffmann "
    "Horváth Ibrahim Iversen Jansen Jensen Kaya Keller Khan Kim Kowalski Krüger Larsen Lefebvre Lehtonen Lindqvist Lopes "
    "Marino Mbeki Meyer Mori Moreau Müller Nakamura Nguyen Novak Nwosu Öztürk Okafor Olsen Pavlović Pereira Petrov Popescu "
    "Quist Rahman Ricci Rossi Rojas Saito Santos Schäfer Schmidt Silva Singh Sørensen Suzuki Takahashi Tanaka Torres Tran "
    "Urban Vargas Vermeer Virtanen Visser Vogel Wagner Weber Wójcik Yamamoto Yılmaz Zhang Zimmermann"
).split()
TITLES = (
    "Account manager;Accountant;Buyer;Copywriter;Courier coordinator;Customer care;Data analyst;Designer;Developer;"
    "Event planner;Facility manager;Illustrator;Lawyer;Librarian;Night porter;Nurse;Office manager;Photographer;Planner;"
    "Product manager;Receptionist;Recruiter;Researcher;Sales engineer;Support engineer;Teacher;Tester;Translator;Warehouse lead"
).split(";")
TEAMS = "Amsterdam;Berlin;Lagos;Lisbon;Milan;Nairobi;Oslo;Osaka;Porto;Prague;Rotterdam;Toronto".split(";")


def people(count: int) -> list[dict[str, object]]:
    """Return this many users, sorted by their names, as ``userline import`` reads them."""
    chosen = random.Random(17)  # noqa: S311 - made-up people, no secrets
    names: set[str] = set()
    while len(names) < count:
        names.add(f"{chosen.choice(GIVEN)} {chosen.choice(FAMILY)}")
    return [
        {
            "id": f"person-{number:03}",
            "name": name,
            "custom": {"title": chosen.choice(TITLES), "team": chosen.choice(TEAMS)},
        }
        for number, name in enumerate(sorted(names), 1)
    ]
