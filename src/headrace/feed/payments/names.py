"""Names in seven scripts, each with its spelling in plain letters, from which e-mail addresses are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The names of a country. ``family_first``: how a whole name is written; ``joint`` stands between its parts."""

    script: str
    given: tuple[tuple[str, str], ...]
    family: tuple[tuple[str, str], ...]
    family_first: bool = False
    joint: str = " "

    def whole(self, given: int, family: int) -> str:
        """A whole name in its own script."""
        parts = [self.given[given][0], self.family[family][0]]
        return self.joint.join(reversed(parts) if self.family_first else parts)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """``own/plain`` words; one that needs no other spelling stands alone."""
    return tuple((own, plain or own.lower()) for own, _, plain in (word.partition("/") for word in text.split()))


NAMES = {
    "FR": Names(
        "Latin",
        _pairs(
            "Léa/lea Chloé/chloe Manon Zoé/zoe Inès/ines Camille Jeanne Élodie/elodie Hugo Noé/noe Théo/theo Rémi/remi "
            "François/francois Jérôme/jerome Paul Louis"
        ),
        _pairs(
            "Lefèvre/lefevre Moreau Girard Béranger/beranger Dupré/dupre Fournier Chevalier Gauthier Lemoine Faure Rousseau "
            "Garnier Perrin Noël/noel Hébert/hebert Marchand"
        ),
    ),
    "DE": Names(
        "Latin",
        _pairs(
            "Jürgen/juergen Björn/bjoern Käthe/kaethe Lukas Felix Moritz Anneliese Greta Sönke/soenke Heike Ulrike Matthias "
            "Friederike Günter/guenter Clara Emil"
        ),
        _pairs(
            "Müller/mueller Schäfer/schaefer Weiß/weiss Köhler/koehler Krüger/krueger Hoffmann Schröder/schroeder Vogel "
            "Lindner Großmann/grossmann Böhm/boehm Winkler Brandt Jäger/jaeger Kühn/kuehn Seidel"
        ),
    ),
    "GB": Names(
        "Latin",
        _pairs(
            "Oliver Harriet Imogen Alfie Siobhán/siobhan Rhys Eleanor Callum Poppy Freya Angus Bronwyn Gareth Beatrice Isla "
            "Rory"
        ),
        _pairs(
            "Ashworth Pemberton O'Connor/oconnor Whitfield Llewellyn MacDonald Hargreaves Thistlewood Bradshaw Sinclair "
            "Fairchild Cavendish Winterbourne Sutcliffe Penhaligon Abernathy"
        ),
    ),
    "US": Names(
        "Latin",
        _pairs(
            "Madison Tyler José/jose Brooklyn Jayden María/maria Dakota Savannah Logan Peyton Hunter Alejandra Mason Kaylee "
            "Trevor Autumn"
        ),
        _pairs(
            "Washington Núñez/nunez Jefferson Kowalski Rodríguez/rodriguez Van-Buren/vanburen Sandoval Lindqvist Hightower "
            "Castañeda/castaneda McAllister Okonkwo Peña/pena Delacroix Whitaker Blackwood"
        ),
    ),
    "RS": Names(
        "Cyrillic",
        _pairs(
            "Милица/milica Јелена/jelena Никола/nikola Стефан/stefan Драгана/dragana Љубица/ljubica Ђорђе/djordje "
            "Невена/nevena Вукашин/vukasin Милош/milos Јована/jovana Душан/dusan Зорица/zorica Предраг/predrag "
            "Снежана/snezana Жарко/zarko"
        ),
        _pairs(
            "Јовановић/jovanovic Петровић/petrovic Николић/nikolic Марковић/markovic Ђурић/djuric Станковић/stankovic "
            "Живковић/zivkovic Павловић/pavlovic Љубојевић/ljubojevic Тодоровић/todorovic Шевић/sevic Вујовић/vujovic "
            "Радосављевић/radosavljevic Којић/kojic Чолић/colic Мишић/misic"
        ),
    ),
    "GR": Names(
        "Greek",
        _pairs(
            "Ελένη/eleni Γιώργος/giorgos Αικατερίνη/aikaterini Δημήτρης/dimitris Μαρία/maria Νικόλαος/nikolaos "
            "Σοφία/sofia Κωνσταντίνος/konstantinos Βασιλική/vasiliki Σπύρος/spyros Αθηνά/athina Χρήστος/christos "
            "Ευαγγελία/evangelia Θανάσης/thanasis Ιωάννα/ioanna Παναγιώτης/panagiotis"
        ),
        _pairs(
            "Παπαδόπουλος/papadopoulos Γεωργίου/georgiou Αντωνίου/antoniou Βλάχος/vlachos Οικονόμου/oikonomou "
            "Καραγιάννης/karagiannis Μακρής/makris Αλεξίου/alexiou Ιωαννίδης/ioannidis Σταματίου/stamatiou "
            "Δημητρίου/dimitriou Παππάς/pappas Ζαχαρίου/zachariou Κολοκοτρώνης/kolokotronis Ξενάκης/xenakis Ρήγας/rigas"
        ),
    ),
    "AE": Names(
        "Arabic",
        _pairs(
            "محمد/mohammed فاطمة/fatima خالد/khalid عائشة/aisha يوسف/yousef مريم/mariam سلطان/sultan نورة/noura "
            "عبدالله/abdullah هدى/huda راشد/rashid شيخة/sheikha سعيد/saeed لطيفة/latifa حمدان/hamdan ميثاء/maitha"
        ),
        _pairs(
            "المنصوري/almansoori الكعبي/alkaabi النعيمي/alnuaimi الشامسي/alshamsi الظاهري/aldhaheri المزروعي/almazrouei "
            "البلوشي/albalushi الحوسني/alhosani القبيسي/alqubaisi السويدي/alsuwaidi الهاشمي/alhashimi المهيري/almheiri "
            "الرميثي/alrumaithi الفلاسي/alfalasi العامري/alameri الجابري/aljaberi"
        ),
    ),
    "CN": Names(
        "Han",
        _pairs(
            "伟强/weiqiang 秀英/xiuying 建国/jianguo 丽华/lihua 志明/zhiming 雪梅/xuemei 浩然/haoran 思远/siyuan 玉兰/yulan "
            "俊杰/junjie 婷婷/tingting 晓东/xiaodong 佳琪/jiaqi 文博/wenbo 淑芬/shufen 子涵/zihan"
        ),
        _pairs(
            "欧阳/ouyang 司马/sima 诸葛/zhuge 上官/shangguan 皇甫/huangfu 慕容/murong 令狐/linghu 东方/dongfang 司徒/situ "
            "夏侯/xiahou 尉迟/yuchi 公孙/gongsun 轩辕/xuanyuan 宇文/yuwen 长孙/zhangsun 端木/duanmu"
        ),
        family_first=True,
        joint="",
    ),
    "JP": Names(
        "Japanese",
        _pairs(
            "さくら/sakura 健太/kenta 美咲/misaki 翔太/shota 陽菜/hina 大輔/daisuke ゆうこ/yuko 直樹/naoki アキラ/akira "
            "千尋/chihiro 拓海/takumi 結衣/yui 誠/makoto かおり/kaori 龍之介/ryunosuke 恵子/keiko"
        ),
        _pairs(
            "佐藤/sato 鈴木/suzuki 高橋/takahashi 渡辺/watanabe 伊藤/ito 山本/yamamoto 小林/kobayashi 斎藤/saito "
            "五十嵐/igarashi 長谷川/hasegawa 東海林/shoji 久保田/kubota 宮崎/miyazaki 松尾/matsuo 西園寺/saionji 大久保/okubo"
        ),
        family_first=True,
    ),
    "IN": Names(
        "Devanagari",
        _pairs(
            "प्रिया/priya अर्जुन/arjun लक्ष्मी/lakshmi राहुल/rahul अनन्या/ananya विक्रम/vikram सरस्वती/saraswati रोहित/rohit "
            "कविता/kavita हर्ष/harsh मीनाक्षी/meenakshi संजय/sanjay दीपिका/deepika अभिषेक/abhishek सुनीता/sunita गौरव/gaurav"
        ),
        _pairs(
            "शर्मा/sharma श्रीवास्तव/srivastava चौधरी/chaudhary त्रिपाठी/tripathi कुलकर्णी/kulkarni देशपांडे/deshpande "
            "अग्रवाल/agarwal मिश्रा/mishra जोशी/joshi भट्टाचार्य/bhattacharya पाटिल/patil राठौड़/rathore चतुर्वेदी/chaturvedi "
            "खन्ना/khanna ठाकुर/thakur वर्मा/varma"
        ),
    ),
}
"""By country (ISO 3166)."""
